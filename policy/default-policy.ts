/** What a first run writes down: enough to talk at once, and commented for the operator who will change it. */
export const defaultPolicy = `# yaml-language-server: $schema=policy.schema.json
# Who may publish, subscribe and receive what. A device can do nothing that no rule here allows.
#
# Try a change before it counts:   touchmark policy test FILE
# Ask why something is refused:    touchmark policy can DEVICE publish TOPIC --explain
# Put it in force, at once and for live sessions too:   touchmark policy apply FILE
apiVersion: touchmark/v1
kind: TopicPolicy
metadata:
  name: default
  version: 1 # every decision in the audit log names the version that took it

# MQTT 3.1.1 cannot refuse a single message. "disconnect" ends the session, "drop" acknowledges and delivers to nobody.
onDenyPublish: disconnect
# A subscription that reaches into a deny: "filter" grants it and withholds what is denied, "reject" refuses it.
onOverlap: filter

roles:
  # A role is a set of rules. Any matching deny refuses; else one matching allow is enough; else it is refused.
  device:
    # Sessions at once. Above 1, programs of a device connect as ID~pub, ID~sub and so on, all with its certificate.
    sessions: { max: 4 }
    allow:
      # \${device.id} and \${device.labels.NAME} stand for one whole level and come from the registry, never from the client.
      - id: telemetry
        actions: [publish]
        topics: ["devices/\${device.id}/telemetry/#"]
        # Also possible here:
        # qos: { max: 1 }   (2 where nothing is said)
        # payload: { maxBytes: 65536 }
        # rate: { messages: 50, per: 1s, burst: 200 }
      - id: state
        actions: [publish, will]
        topics: ["devices/\${device.id}/state"]
        retain: true
      # subscribe lets a device ask, receive is checked at every delivery: a rule nearly always names both.
      - id: commands
        actions: [subscribe, receive]
        topics: ["devices/\${device.id}/cmd/#"]

  # Reads what all devices say and sends them commands.
  gateway:
    sessions: { max: 4 }
    allow:
      - id: listen
        actions: [subscribe, receive]
        topics: ["devices/+/telemetry/#", "devices/+/state"]
      # Several that divide the work between them, each message going to one, name their group:
      # - id: work
      #   actions: [subscribe, receive]
      #   topics: ["$share/workers/devices/+/telemetry/#"]
      - id: command
        actions: [publish]
        topics: ["devices/+/cmd/#"]

  # All that is left to a device in quarantine.
  repair:
    sessions: { max: 4 }
    allow:
      - id: report
        actions: [publish]
        topics: ["devices/\${device.id}/telemetry/repair/#"]
      - id: instructions
        actions: [subscribe, receive]
        topics: ["devices/\${device.id}/cmd/repair/#"]

bindings:
  # Every device, however it proved its key.
  - role: device
    match: { tier: [token, idevid, tpm, tpm-unvouched, tpm+pcr, oidc-sim] }
  # Devices that an operator labelled so:   touchmark devices label ID role=gateway
  - role: gateway
    match: { labels: { role: gateway } }
    # Where from and when it has the role; rights come and go with that, on live connections too:
    # when: { cidr: ["10.0.0.0/8", "2001:db8::/32"], notBefore: 2027-01-01T00:00:00Z, notAfter: 2028-01-01T00:00:00Z }

# Put there by hand, and its own roles count again when the lock is removed:
#   touchmark locks add --device ID --mode quarantine --reason 'reports nonsense'
quarantine: { role: repair }

# Questions with their answers. A policy that fails one of them is never put in force.
tests:
  - { as: { id: d1, tier: tpm }, publish: devices/d1/telemetry/temperature, qos: 2, expect: allow, by: telemetry }
  - { as: { id: d1, tier: tpm }, publish: devices/d2/telemetry/temperature, expect: deny, reason: no_rule }
  - { as: { id: d1, tier: tpm }, publish: devices/d1/telemetry/temperature, retain: true, expect: deny, reason: retain }
  - { as: { id: d1, tier: token }, will: devices/d1/state, retain: true, expect: allow, by: state }
  - { as: { id: d1, tier: token }, subscribe: "devices/d1/cmd/#", qos: 1, expect: allow, by: commands }
  - { as: { id: d1, tier: token }, subscribe: "devices/+/cmd/#", expect: deny, reason: not_contained }
  - { as: { id: d1, tier: token }, subscribe: "$SYS/#", expect: deny, reason: reserved }
  - { as: { id: g1, tier: tpm, labels: { role: gateway } }, subscribe: "devices/+/telemetry/#", expect: allow, by: listen }
  - { as: { id: g1, tier: tpm, labels: { role: gateway } }, subscribe: "$share/g/devices/#", expect: deny, reason: reserved }
  - { as: { id: g1, tier: tpm, labels: { role: gateway } }, publish: devices/d1/cmd/reboot, expect: allow, by: command }
  - { as: { id: d1, tier: tpm, quarantined: true }, publish: devices/d1/telemetry/repair/log, expect: allow, by: report }
  - { as: { id: d1, tier: tpm, quarantined: true }, publish: devices/d1/telemetry/temperature, expect: deny, reason: quarantined }
`
