"""Eclipse Paho for Python, driven from a command line: publishes lines of its input, or says what it hears until that ends."""

import argparse
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

arguments = argparse.ArgumentParser()
arguments.add_argument("verb", choices=["publish", "listen"])
arguments.add_argument("--version", type=int)  # 4 or 5
arguments.add_argument("--transport", choices=["tls", "websocket"])
arguments.add_argument("--port", type=int)
arguments.add_argument("--id")
arguments.add_argument("--ca")
arguments.add_argument("--cert")
arguments.add_argument("--key")
arguments.add_argument("--topic")
arguments.add_argument("--qos", type=int)
arguments.add_argument("--retain", action="store_true")
arguments.add_argument("--keep", action="store_true")  # the session
arguments.add_argument("--will-topic")
arguments.add_argument("--will-payload")
asked = arguments.parse_args()


def say(*words):
    print(*words, flush=True)


ready = threading.Event()  # what goes out before CONNACK is lost if the socket ends with CONNACK unread


def connected(client, userdata, flags, code, properties=None):
    ready.set()
    if code != 0:
        say("refused", code)
        client.disconnect()
    elif asked.verb == "listen":
        client.subscribe(asked.topic, asked.qos)


def subscribed(client, userdata, packet_id, granted, properties=None):
    say("subscribed", *[code.value if hasattr(code, "value") else code for code in granted])


def heard(client, userdata, message):
    say("heard", message.topic, message.qos, int(message.retain), message.payload.decode())


kept = {} if asked.version == 5 else {"clean_session": not asked.keep}
client = mqtt.Client(
    client_id=asked.id,
    protocol=mqtt.MQTTv5 if asked.version == 5 else mqtt.MQTTv311,
    transport="websockets" if asked.transport == "websocket" else "tcp",
    **kept,
)
client.tls_set(ca_certs=asked.ca, certfile=asked.cert, keyfile=asked.key)
if asked.transport == "websocket":
    client.ws_set_options(path="/mqtt")
if asked.will_topic:
    client.will_set(asked.will_topic, asked.will_payload, qos=1)
client.on_connect = connected
client.on_subscribe = subscribed
client.on_message = heard

if asked.version == 5:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 300 if asked.keep else 0
    client.connect("localhost", asked.port, clean_start=not asked.keep, properties=properties)
else:
    client.connect("localhost", asked.port)
client.loop_start()
ready.wait(60)
for line in sys.stdin:
    client.publish(asked.topic, line.rstrip("\n"), asked.qos, asked.retain).wait_for_publish()
client.disconnect()
client.loop_stop()
