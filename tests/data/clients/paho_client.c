/*
 * Eclipse Paho for C, driven from a command line: publishes lines of its input, or says what it hears until that ends.
 *
 *   cc -o paho_client paho_client.c -lpaho-mqtt3cs
 *   paho_client publish|listen VERSION URI CLIENT_ID CA CERT KEY TOPIC QOS RETAIN KEEP WILL_TOPIC WILL_PAYLOAD
 */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERB = 1, VERSION, URI, CLIENT_ID, CA, CERT, KEY, TOPIC, QOS, RETAIN, KEEP, WILL_TOPIC, WILL_PAYLOAD, COUNT };

static const int timeout_ms = 20000;

static void must(int code, const char *what)
{
    if (code == MQTTCLIENT_SUCCESS) return;
    printf("refused %s %d\n", what, code);
    exit(1);
}

static int heard(void *context, char *topic, int length, MQTTClient_message *message)
{
    printf("heard %s %d %d %.*s\n", topic, message->qos, message->retained, message->payloadlen, (char *)message->payload);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
    return 1;
}

static int connect_client(MQTTClient client, char **asked, int is5, int is_websocket)
{
    MQTTClient_connectOptions plain = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions plain_ws = MQTTClient_connectOptions_initializer_ws;
    MQTTClient_connectOptions five = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions five_ws = MQTTClient_connectOptions_initializer5_ws;
    MQTTClient_connectOptions options = is5 ? (is_websocket ? five_ws : five) : (is_websocket ? plain_ws : plain);
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    int keep = atoi(asked[KEEP]);

    tls.trustStore = asked[CA];
    tls.keyStore = asked[CERT];
    tls.privateKey = asked[KEY];
    tls.verify = 1;
    options.ssl = &tls;
    options.connectTimeout = timeout_ms / 1000;
    if (asked[WILL_TOPIC][0] != '\0') {
        will.topicName = asked[WILL_TOPIC];
        will.message = asked[WILL_PAYLOAD];
        will.qos = 1;
        options.will = &will;
    }
    if (is5) {
        MQTTProperties properties = MQTTProperties_initializer;
        MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL};
        expiry.value.integer4 = keep ? 300 : 0;
        MQTTProperties_add(&properties, &expiry);
        options.cleanstart = !keep;
        MQTTResponse response = MQTTClient_connect5(client, &options, &properties, NULL);
        int code = response.reasonCode;
        MQTTResponse_free(response);
        MQTTProperties_free(&properties);
        return code;
    }
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.cleansession = !keep;
    return MQTTClient_connect(client, &options);
}

static int subscribe(MQTTClient client, char **asked, int is5)
{
    if (!is5) {
        int code = MQTTClient_subscribe(client, asked[TOPIC], atoi(asked[QOS]));
        return code == MQTTCLIENT_SUCCESS ? atoi(asked[QOS]) : code;
    }
    MQTTResponse response = MQTTClient_subscribe5(client, asked[TOPIC], atoi(asked[QOS]), NULL, NULL);
    int code = response.reasonCode;
    MQTTResponse_free(response);
    return code;
}

static void publish_lines(MQTTClient client, char **asked, int is5)
{
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        MQTTClient_message message = MQTTClient_message_initializer;
        MQTTClient_deliveryToken token;
        line[strcspn(line, "\n")] = '\0';
        message.payload = line;
        message.payloadlen = (int)strlen(line);
        message.qos = atoi(asked[QOS]);
        message.retained = atoi(asked[RETAIN]);
        if (is5) {
            MQTTResponse response = MQTTClient_publishMessage5(client, asked[TOPIC], &message, &token);
            must(response.reasonCode, "publish");
            MQTTResponse_free(response);
        } else {
            must(MQTTClient_publishMessage(client, asked[TOPIC], &message, &token), "publish");
        }
        must(MQTTClient_waitForCompletion(client, token, timeout_ms), "completion");
    }
}

int main(int count, char **asked)
{
    if (count != COUNT) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int is5 = atoi(asked[VERSION]) == 5;
    int is_websocket = strncmp(asked[URI], "wss:", 4) == 0;
    MQTTClient client;
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    create.MQTTVersion = is5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    must(MQTTClient_createWithOptions(&client, asked[URI], asked[CLIENT_ID], MQTTCLIENT_PERSISTENCE_NONE, NULL, &create), "create");
    must(MQTTClient_setCallbacks(client, NULL, NULL, heard, NULL), "callbacks");
    /* Up to 1.3.12 the library's thread now and then takes the answer to the WebSocket upgrade for an MQTT packet. */
    int code = MQTTCLIENT_FAILURE;
    for (int tries = 0; tries < 3 && code == MQTTCLIENT_FAILURE; tries++) code = connect_client(client, asked, is5, is_websocket);
    must(code, "connect");
    if (strcmp(asked[VERB], "listen") == 0) {
        printf("subscribed %d\n", subscribe(client, asked, is5));
        while (getchar() != EOF) continue;
    } else {
        publish_lines(client, asked, is5);
    }
    if (is5) MQTTClient_disconnect5(client, timeout_ms, MQTTREASONCODE_SUCCESS, NULL);
    else MQTTClient_disconnect(client, timeout_ms);
    MQTTClient_destroy(&client);
    return 0;
}
