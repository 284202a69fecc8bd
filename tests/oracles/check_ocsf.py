"""Reads OCSF events as JSON Lines and holds each against the published schema 1.7 (PyPI pydantic-ocsf).

A field that the schema does not know is a fault, other than below `unmapped`, which is made for them.
"""

import json
import sys

from ocsf.v1_7_0 import events

CLASSES = {
    1007: events.ProcessActivity,
    1008: events.EventLogActvity,
    2004: events.DetectionFinding,
    3002: events.Authentication,
    3005: events.UserAccess,
    4007: events.SshActivity,
    4014: events.TunnelActivity,
    6003: events.ApiActivity,
    6006: events.FileHosting,
}


def extras(model, path):
    for name in model.model_extra or {}:
        yield f"{path}.{name}"
    for name in type(model).model_fields:
        value = getattr(model, name)
        for one in value if isinstance(value, list) else [value]:
            if hasattr(one, "model_extra") and name != "unmapped":
                yield from extras(one, f"{path}.{name}")


seen = {}
faults = []
for number, line in enumerate(sys.stdin, 1):
    event = json.loads(line)
    uid = event["class_uid"]
    seen[uid] = seen.get(uid, 0) + 1
    # The schema's device takes the types of its parent, the endpoint; this package does not know that.
    if event.get("device", {}).get("type_id") == 1:
        event["device"]["type_id"] = 0
        assert event["device"].pop("type") == "Server"
    model = CLASSES[uid].model_validate(event)
    faults += [f"line {number}, class {uid}: {name}" for name in extras(model, "event")]
    if event["type_uid"] != uid * 100 + event["activity_id"]:
        faults.append(f"line {number}: type_uid")
    if uid // 1000 != event["category_uid"]:
        faults.append(f"line {number}: category_uid")
    labels = {item.value: item.label for item in CLASSES[uid].ActivityId}
    if labels.get(event["activity_id"]) != event["activity_name"]:
        faults.append(f"line {number}: activity_name {event['activity_name']} {labels}")
print(json.dumps(seen))
if faults or not seen:
    sys.exit("\n".join(faults) or "no events")
