"""What cameras of several makers send, as others have seen it, and what none should."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.devices.onvif.topics import Notice, kind_of, read_notices

ALARM = "tns1:VideoSource/MotionAlarm"
INPUT = "tns1:Device/Trigger/tnshik:DigitalInput"


def messages(*told: tuple[str, dict[str, str]], operation: str = "Changed") -> ElementTree.Element:
    root = ElementTree.Element("PullMessagesResponse")
    for topic, items in told:
        notice = ElementTree.SubElement(root, "NotificationMessage")
        ElementTree.SubElement(notice, "Topic").text = topic
        outer = ElementTree.SubElement(notice, "Message")
        inner = ElementTree.SubElement(outer, "Message", PropertyOperation=operation)
        source = ElementTree.SubElement(inner, "Source")
        ElementTree.SubElement(source, "SimpleItem", Name="Source", Value="in1")
        data = ElementTree.SubElement(inner, "Data")
        for name, value in items.items():
            ElementTree.SubElement(data, "SimpleItem", Name=name, Value=value)
    return root


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        (ALARM, "motion"),
        ("tns1:RuleEngine/CellMotionDetector/Motion", "motion"),
        ("tns1:RuleEngine/MotionRegionDetector/Motion", "motion"),
        ("tns1:VideoAnalytics/Motion", "motion"),
        ("tns1:RuleEngine/FieldDetector/ObjectsInside", "motion"),
        ("tns1:RuleEngine/LineDetector/Crossed", "motion"),
        ("tns1:RuleEngine/MyRuleDetector/PeopleDetect", "motion"),
        ("tns1:RuleEngine/MyRuleDetector/VehicleDetect", "motion"),
        ("tns1:RuleEngine/MyRuleDetector/DogCatDetect", "motion"),
        ("tns1:RuleEngine/PeopleDetector/People", "motion"),
        ("tns1:RuleEngine/CellMotionDetector/LineCross", "motion"),
        ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "motion"),
        ("tns1:VideoAnalytics/tnsaxis:MotionDetection", "motion"),
        ("tnsaxis:CameraApplicationPlatform/VMD/Camera1ProfileANY", "motion"),
        ("tnsaxis:CameraApplicationPlatform/ObjectAnalytics/Device1ScenarioANY", "motion"),
        ("tns1:Device/tnsaxis:Sensor/PIR", "motion"),
        ("tns1:RuleEngine/tnsaxis:VMD3/vmd3_video_1", "motion"),
        (INPUT, "input"),
        ("tns1:Device/Trigger/DigitalInput", "input"),
        ("tns1:Device/Trigger/Relay", None),
        ("tns1:RuleEngine/TamperDetector/Tamper", None),
        ("tns1:VideoSource/GlobalSceneChange/AnalyticsService", None),
        ("tns1:VideoSource/ImageTooDark/ImagingService", None),
        ("tns1:AudioAnalytics/Audio/DetectedSound", None),
        ("tns1:RuleEngine/CountAggregation/Counter", None),
        ("tnsaxis:CameraApplicationPlatform/LicensePlate/Found", None),
        ("", None),
    ],
)
def test_topics_are_known(topic: str, kind: str | None) -> None:
    assert kind_of(topic) == kind


@pytest.mark.parametrize(
    ("items", "is_on"),
    [
        ({"State": "true"}, True),
        ({"State": "False"}, False),
        ({"active": "1"}, True),
        ({"motion": "0"}, False),
        ({"ObjectId": "1", "IsInside": "false"}, False),
        ({"IsInside": "true", "ObjectId": "0"}, True),
        ({"Level": "77", "State": "true"}, True),
    ],
)
def test_the_state_is_found_among_what_else_is_told(items: dict[str, str], is_on: bool) -> None:
    ((notice, found),) = read_notices(messages((ALARM, items)))
    assert found is is_on
    assert (notice.kind, notice.source, notice.is_brief) == ("motion", "in1", False)


def test_rules_are_told_apart() -> None:
    smart = "tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent"
    found = read_notices(
        messages(
            (ALARM, {"State": "true"}),
            (smart, {"IsVehicle": "true", "IsPet": "false"}),
            (smart, {"IsTPSmartEvent": "true"}),  # it may be a sound
            (INPUT, {"LogicalState": "true"}),
        )
    )
    assert found == [
        (Notice("motion", "in1", f"{ALARM} State"), True),
        (Notice("motion", "in1", f"{smart} IsVehicle"), True),
        (Notice("motion", "in1", f"{smart} IsPet"), False),
        (Notice("input", "in1", f"{INPUT} LogicalState"), True),
    ]


def test_what_only_happens_is_said_so_and_what_has_a_state_is_not() -> None:
    crossed = "tns1:RuleEngine/LineDetector/Crossed"
    assert read_notices(messages((crossed, {"ObjectId": "1"}))) == [
        (Notice("motion", "in1", crossed, is_brief=True), True)
    ]
    assert read_notices(messages((crossed, {"State": "false"}))) == [
        (Notice("motion", "in1", f"{crossed} State"), False)
    ]
    assert read_notices(messages((ALARM, {"ObjectId": "1"}))) == []


def test_what_is_deleted_is_over() -> None:
    crossed = "tns1:RuleEngine/LineDetector/Crossed"
    ((_, is_on),) = read_notices(
        messages((ALARM, {"State": "true"}), (crossed, {}), operation="Deleted")
    )
    assert not is_on


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<NotificationMessage/>",
        "<x/><NotificationMessage><Topic/></NotificationMessage>",
        f"<NotificationMessage><Topic>{ALARM}</Topic><Message/></NotificationMessage>",
        f"<NotificationMessage><Topic>{ALARM}</Topic><Message><Message><Data/></Message>"
        "</Message></NotificationMessage>",
    ],
)
def test_what_is_no_notice_is_passed_over(inner: str) -> None:
    assert read_notices(ElementTree.fromstring(f"<a>{inner}</a>")) == []


def test_an_answer_without_notices_is_none() -> None:
    assert read_notices(None) == []


@given(st.text(max_size=60), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3))
def test_whatever_is_told_is_read_or_left(topic: str, items: dict[str, str]) -> None:
    kind_of(topic)
    read_notices(messages((f"{topic}/Motion", items), (f"{topic}/Crossed", items)))
