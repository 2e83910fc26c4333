"""Media2 beside Media, over real sockets: H.265, and cameras that do it badly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from h5sup.devices.model import DeviceError, DeviceFailure, Motion
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.media2 import read_answer
from h5sup.devices.onvif.messages import (
    OnvifProfile,
    choose_profiles,
    read_media2_profiles,
    read_services,
    read_uri,
)
from h5sup.devices.onvif.ptz import OnvifSteering
from tests.fakes.onvif.soap import DECLARED
from tests.fakes.onvif_camera import JPEG, PROFILES, SERVICE, FakeProfile, OnvifCamera

HEVC = FakeProfile("Hevc_1", codec="H265", width=3840, height=2160, mount="hevc", fps=20)
SMALL_HEVC = FakeProfile("Hevc_2", codec="H265", width=640, height=360, mount="small")
BOTH = (HEVC, *PROFILES[:2])
NO_SUCH = ("ter:ActionNotSupported", "no such thing")
BROKEN: dict[str, dict[str, Any]] = {
    "fault": {"faults": {"tr2:GetProfiles": ("ter:Action", "out of order")}},
    "unknown": {"faults": {"tr2:GetProfiles": NO_SUCH}},
    "empty": {"media2_profiles": ()},
    "names alone": {
        "answers": {
            "tr2:GetProfiles": '<tr2:GetProfilesResponse><tr2:Profiles token="x">'
            "<tr2:Name>x</tr2:Name></tr2:Profiles></tr2:GetProfilesResponse>"
        }
    },
    "another answer": {"answers": {"tr2:GetProfiles": "<tr2:GetStreamUriResponse/>"}},
    "no addresses": {"faults": {"tr2:GetStreamUri": ("ter:Action", "out of order")}},
    "no RTSP": {
        "answers": {
            "tr2:GetStreamUri": "<tr2:GetStreamUriResponse><tr2:Uri>http://h/</tr2:Uri>"
            "</tr2:GetStreamUriResponse>"
        }
    },
}


def address(camera: OnvifCamera, password: str | None = None) -> Address:
    return Address(
        host="127.0.0.1",
        port=camera.port,
        path=SERVICE,
        user=camera.user,
        password=camera.password if password is None else password,
    )


def told(profiles: Any) -> list[tuple[str, str, str]]:
    return [(one.token, one.codec, one.url.rpartition("/")[2]) for one in profiles]


@pytest.mark.parametrize("lies", [False, True])
async def test_profiles_in_h265_are_told_with_their_addresses(onvif: Onvif, *, lies: bool) -> None:
    async with OnvifCamera(
        rtsp_port=8554, media2_profiles=BOTH, lies_about_address=lies
    ) as camera:
        large, middle, small = await onvif.probe(address(camera))
        assert camera.asked.count("GetProfiles") == 0  # Media2 has told all
    assert large == OnvifProfile(
        token="Hevc_1", name="Hevc_1 name", codec="H265", width=3840, height=2160, fps=20,
        bitrate_kbps=2048, video_source="source0", ptz="ptz0", service="media2",
        url="rtsp://127.0.0.1:8554/hevc",
    )  # fmt: skip
    assert (middle.codec, middle.url) == ("H264", "rtsp://127.0.0.1:8554/h264_aac")
    # what every browser plays comes first, H.265 by hand
    assert choose_profiles([large, middle, small], "", "") == (middle, small)
    assert choose_profiles([large, middle, small], "Hevc_1", "") == (large, small)


async def test_a_camera_with_media2_alone_is_asked_no_more_than_it_takes(onvif: Onvif) -> None:
    async with OnvifCamera(
        lacks=frozenset({"Media"}), media2_profiles=(HEVC, SMALL_HEVC)
    ) as camera:
        large, small = await onvif.probe(address(camera))
        assert choose_profiles([small, large], "", "") == (large, small)
        assert camera.asked == [
            "GetSystemDateAndTime", "GetServices", "GetCapabilities", "tr2:GetProfiles",
            "tr2:GetStreamUri", "tr2:GetStreamUri",
        ]  # fmt: skip


async def test_a_whole_list_of_services_needs_no_other(onvif: Onvif) -> None:
    async with OnvifCamera(media2_profiles=BOTH) as camera:
        await onvif.probe(address(camera))
        assert camera.asked[:3] == ["GetSystemDateAndTime", "GetServices", "tr2:GetProfiles"]


async def test_profiles_of_both_services_are_listed_once(onvif: Onvif) -> None:
    """Media2 tells none in H.264, and of a profile that both know it tells the better."""
    shared = FakeProfile("Profile_1", codec="H265", width=2560, height=1440, mount="h264_aac")
    async with OnvifCamera(media2_profiles=(shared, HEVC)) as camera:
        assert told(await onvif.probe(address(camera))) == [
            ("Profile_1", "H265", "h264_aac"),
            ("Hevc_1", "H265", "hevc"),
            ("Profile_2", "H264", "h264_mute"),
            ("Profile_3", "JPEG", ""),
        ]
        assert camera.asked.count("GetStreamUri") == 2  # not for what Media2 has told


@pytest.mark.parametrize("manners", BROKEN.values(), ids=BROKEN)
async def test_where_media2_is_no_good_media_is_asked(
    onvif: Onvif, manners: dict[str, Any]
) -> None:
    async with OnvifCamera(**{"media2_profiles": PROFILES, **manners}) as camera:
        found = told(await onvif.probe(address(camera)))
    assert found == [
        ("Profile_1", "H264", "h264_aac"),
        ("Profile_2", "H264", "h264_mute"),
        ("Profile_3", "JPEG", ""),
    ]


@pytest.mark.parametrize("name", ["fault", "another answer"])
async def test_where_there_is_no_other_service_its_error_is_told(onvif: Onvif, name: str) -> None:
    manners: dict[str, Any] = {"media2_profiles": (HEVC,), **BROKEN[name]}
    async with OnvifCamera(lacks=frozenset({"Media"}), **manners) as camera:
        with pytest.raises(DeviceError, match=r"out of order|no answer to GetProfiles") as caught:
            await onvif.probe(address(camera))
    assert caught.value.failure is DeviceFailure.NOT_UNDERSTOOD


@pytest.mark.parametrize("operation", ["GetProfiles", "GetStreamUri"])
async def test_a_broken_media_service_does_no_harm(onvif: Onvif, operation: str) -> None:
    async with OnvifCamera(media2_profiles=(HEVC,)) as camera:
        camera.faults[operation] = ("ter:Action", "out of order")
        found = told(await onvif.probe(address(camera)))
    assert found[0] == ("Hevc_1", "H265", "hevc")


async def test_media_that_does_not_answer_leaves_what_media2_has_told(brisk: Onvif) -> None:
    async with OnvifCamera(media2_profiles=(HEVC,), hangs_on="GetProfiles") as camera:
        assert told(await brisk.probe(address(camera))) == [("Hevc_1", "H265", "hevc")]


async def test_media2_that_does_not_answer_leaves_media(brisk: Onvif) -> None:
    async with OnvifCamera(media2_profiles=(HEVC,), hangs_on="tr2:GetProfiles") as camera:
        assert len(await brisk.probe(address(camera))) == 3


async def test_a_camera_that_knows_no_rtsp_over_tcp_is_asked_for_the_other(onvif: Onvif) -> None:
    async with OnvifCamera(
        media2_profiles=(HEVC,),
        lacks=frozenset({"Media"}),
        refuses_protocols=frozenset({"RTSP"}),
    ) as camera:
        assert told(await onvif.probe(address(camera))) == [("Hevc_1", "H265", "hevc")]


@pytest.mark.parametrize(
    "manners",
    [
        {"faults": {"GetServices": NO_SUCH}},  # as cameras of 2010
        {"faults": {"GetCapabilities": NO_SUCH}},  # as cameras that have Profile T alone
        {"services_lack": frozenset({"PTZ", "Imaging", "Events"})},
        {"hangs_on": "GetServices"},
    ],
    ids=("no list", "no capabilities", "a short list", "a list that never comes"),
)
async def test_services_are_found_by_either_list(brisk: Onvif, manners: dict[str, Any]) -> None:
    async with OnvifCamera(**manners) as camera:
        found = brisk.camera(address(camera))
        assert len(await found.profiles()) == 3
        assert await found.services() == {"media", "ptz", "imaging", "events"}


async def test_a_camera_with_neither_list_is_named(onvif: Onvif) -> None:
    async with OnvifCamera(faults={"GetServices": NO_SUCH, "GetCapabilities": NO_SUCH}) as camera:
        with pytest.raises(DeviceError, match="does not know GetCapabilities"):
            await onvif.probe(address(camera))


@pytest.mark.parametrize("wants_digest", [False, True])
async def test_a_refused_login_is_tried_once(onvif: Onvif, *, wants_digest: bool) -> None:
    async with OnvifCamera(media2_profiles=BOTH, wants_digest=wants_digest) as fake:
        camera = onvif.camera(address(fake, "wrong"))
        for _ in range(2):
            with pytest.raises(DeviceError) as caught:
                await camera.profiles()
            assert caught.value.failure is DeviceFailure.WRONG_PASSWORD
        assert fake.refused == 1


async def test_a_login_that_media2_refuses_is_not_tried_over_media(onvif: Onvif) -> None:
    async with OnvifCamera(media2_profiles=BOTH) as fake:
        fake.faults["tr2:GetProfiles"] = ("ter:NotAuthorized", "not authorized")
        with pytest.raises(DeviceError, match="refuses the user name"):
            await onvif.probe(address(fake))
        assert "GetProfiles" not in fake.asked


async def test_what_media2_tells_is_steered_and_shown(onvif: Onvif) -> None:
    async with OnvifCamera(lacks=frozenset({"Media"}), media2_profiles=(HEVC,)) as fake:
        camera = onvif.camera(address(fake))
        assert await camera.picture("Hevc_1") == JPEG  # before anything else was asked
        steering = OnvifSteering(camera, "Hevc_1")
        await steering.move(Motion(pan=1, focus=1))
        assert fake.moving == {"PanTilt": (1.0, 0.0), "Focus": (1.0,)}


async def test_a_picture_is_asked_of_the_service_that_knows_the_profile(onvif: Onvif) -> None:
    async with OnvifCamera(media2_profiles=BOTH) as fake:
        camera = onvif.camera(address(fake))
        assert await camera.picture("Hevc_1") == JPEG  # Media does not know it
        assert fake.asked.count("GetSnapshotUri") == 1
        await camera.profiles()
        assert await camera.picture("Hevc_1") == JPEG
        assert fake.asked.count("GetSnapshotUri") == 1
        assert fake.asked.count("tr2:GetSnapshotUri") == 2


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [("H265", "H265"), ("video/H265", "H265"), ("HEVC", "H265"), ("H.264", "H264"), ("", "")],
)
def test_codecs_have_one_name(encoding: str, codec: str) -> None:
    encoder = {"Encoding": encoding, "Resolution": {"Width": "1e9", "Height": "x"}}
    answer = {"Profiles": {"token": "a", "Configurations": {"VideoEncoder": encoder}}}
    (found,) = read_media2_profiles(answer)
    assert (found.codec, found.width, found.height) == (codec, 0, 0)


def test_services_that_are_none_are_left_out() -> None:
    good = {"Namespace": "http://www.onvif.org/ver20/media/wsdl/", "XAddr": "http://h/m"}
    assert read_services([good, {**good, "XAddr": "http://h/2"}, {}, None, "x"]) == {
        "media2": "http://h/m"
    }
    assert read_services({"Namespace": "http://www.onvif.org/ver99/x", "XAddr": "a"}) == {}


TREES = st.recursive(
    st.text(alphabet="ab1.<", max_size=5),
    lambda inner: st.dictionaries(
        st.sampled_from(["Profiles", "Name", "Configurations", "VideoEncoder", "Uri", "PTZ"]),
        st.lists(inner, max_size=3),
        max_size=3,
    ),
    max_leaves=10,
)


@given(tree=TREES, has_token=st.booleans())
def test_whatever_comes_as_an_answer_is_read_or_left(*, tree: Any, has_token: bool) -> None:
    def grow(parent: Any, value: Any) -> None:
        if has_token:
            parent.set("token", "t")
        if isinstance(value, str):
            parent.text = value
            return
        for name, ones in value.items():
            for one in ones:
                grow(etree.SubElement(parent, name), one)

    root = etree.fromstring(
        f"<s:Envelope {DECLARED}><s:Body><tr2:AResponse/></s:Body></s:Envelope>"
    )
    grow(root[0][0], tree)
    answer = read_answer(root, "A")
    read_media2_profiles(answer)
    read_uri(answer)
    with pytest.raises(DeviceError, match="no answer to B"):
        read_answer(root, "B")
