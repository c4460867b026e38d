"""Eclipse Paho for Python as a program on the device, at the agent's bridge: no certificate, no password."""

import sys
import threading

import paho.mqtt.client as mqtt

subscribed, stopped = threading.Event(), threading.Event()


def heard(client, userdata, message):
    print("heard", message.topic, message.payload.decode(), flush=True)
    stopped.set()


client = mqtt.Client(client_id="local", protocol=mqtt.MQTTv311, clean_session=False)
client.on_connect = lambda client, *_: client.subscribe("~/cmd/#", 1)
client.on_subscribe = lambda *_: subscribed.set()
client.on_message = heard
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
subscribed.wait()
sent = [client.publish("~/telemetry/n", str(n), qos=1 + n % 2) for n in range(40)]
for one in sent:
    one.wait_for_publish()
print("acknowledged", sum(one.is_published() for one in sent), flush=True)
stopped.wait()
client.disconnect()
client.loop_stop()
