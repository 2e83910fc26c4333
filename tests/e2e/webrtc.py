"""WebRTC in a page: other players than ours, what a connection carries, what is heard."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress
from typing import Any

from playwright.async_api import Page, Route

from tests.e2e.client import Client
from tests.e2e.server import ROOT

NPM_CLIENT = ROOT / "www" / "node_modules" / "whip-whep" / "whep.js"
PORTS = range(20_000, 32_000)  # below those that the kernel gives away (ip_local_port_range)

# Keeps what a page makes in `peers`, the newest last.
SPY = """
globalThis.peers = [];
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...all) { super(...all); peers.push(this); }
};
"""
# A network that lets no UDP through: the page never learns of such candidates.
WITHOUT_UDP = """
{
  const set = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
    const rest = sdp.replace(/^a=candidate:\\S+ \\d+ udp .*\\r\\n/gim, '');
    return set.call(this, { type, sdp: rest });
  };
}
"""
MAKE_VIDEO = """
  const video = document.createElement('video');
  video.muted = true; video.autoplay = true;
  document.body.replaceChildren(video);
"""
# WHEP in a few lines, as any page may do it.
PLAIN_WHEP = f"""async (url) => {{{MAKE_VIDEO}
  const peer = new RTCPeerConnection();
  const stream = video.srcObject = new MediaStream();
  peer.ontrack = ({{track}}) => stream.addTrack(track);
  peer.addTransceiver('video', {{direction: 'recvonly'}});
  peer.addTransceiver('audio', {{direction: 'recvonly'}});
  await peer.setLocalDescription(await peer.createOffer());
  const answer = await fetch(url, {{method: 'POST', body: peer.localDescription.sdp,
    headers: {{'Content-Type': 'application/sdp'}}}});
  const text = await answer.text();
  if (answer.status !== 201) return {{status: answer.status, text}};
  await peer.setRemoteDescription({{type: 'answer', sdp: text}});
  globalThis.leave = async () => {{
    peer.close();
    return (await fetch(answer.headers.get('Location'), {{method: 'DELETE'}})).status;
  }};
  return {{status: 201, text: ''}};
}}"""
# The same with the client of the npm registry; it takes a session as its bearer token.
NPM_WHEP = f"""async ([url, session]) => {{{MAKE_VIDEO}
  const {{ WHEPClient }} = await import('/npm/whep.js');
  const peer = new RTCPeerConnection({{bundlePolicy: 'max-bundle'}});
  const stream = video.srcObject = new MediaStream();
  peer.ontrack = ({{track}}) => stream.addTrack(track);
  peer.addTransceiver('audio', {{direction: 'recvonly'}});
  peer.addTransceiver('video', {{direction: 'recvonly'}});
  const client = new WHEPClient();
  await client.view(peer, url, session);
  globalThis.leave = () => client.stop();
}}"""
# How H5Stream's oldest players do it: no STUN servers, no candidates or some without `type`, the
# stream of `ontrack`. What goes wrong is kept in `alerts`, as those show it.
ORIGINAL = f"""([token, tellsCandidates]) => {{{MAKE_VIDEO}
  globalThis.alerts = [];
  globalThis.heard = [];
  let peer = null;
  const socket = new WebSocket(`ws://${{location.host}}/api/v1/h5srtcapi?token=${{token}}`);
  const say = (message) => socket.send(JSON.stringify(message));
  socket.onopen = () => {{
    say({{type: 'open'}});
    setInterval(() => say({{type: 'keepalive'}}), 1000);
  }};
  socket.onmessage = async ({{data}}) => {{
    const message = JSON.parse(data);
    heard.push(message.type);
    if (message.type === 'offer') {{
      peer = new RTCPeerConnection({{sdpSemantics: 'unified-plan'}});
      peer.ontrack = ({{streams}}) => video.srcObject = streams[0];
      peer.onicecandidate = ({{candidate}}) => {{
        if (candidate && tellsCandidates) say({{candidate: candidate.candidate,
          sdpMid: candidate.sdpMid, sdpMLineIndex: candidate.sdpMLineIndex}});
      }};
      await peer.setRemoteDescription(message);
      const answer = await peer.createAnswer();
      await peer.setLocalDescription(answer);
      say(answer);
    }} else if (message.type === 'remoteice') {{
      if (!peer) alerts.push('a candidate came before the offer');
      else await peer.addIceCandidate(message);
    }} else if (message.type === 'error') {{
      alerts.push(message.reason);
    }}
  }};
}}"""
# The loudest note and the level of what the video's stream carries, listened to for a while.
LISTEN = """async (seconds) => {
  const context = new AudioContext();
  await context.resume();
  const analyser = new AnalyserNode(context, {fftSize: 8192, smoothingTimeConstant: 0});
  context.createMediaStreamSource(document.querySelector('video').srcObject).connect(analyser);
  const wave = new Float32Array(analyser.fftSize);
  const notes = new Float32Array(analyser.frequencyBinCount);
  const end = performance.now() + seconds * 1000;
  let heard = {level: 0, hz: 0};
  while (performance.now() < end) {
    await new Promise((done) => setTimeout(done, 100));
    analyser.getFloatTimeDomainData(wave);
    analyser.getFloatFrequencyData(notes);
    const level = Math.sqrt(wave.reduce((sum, one) => sum + one * one, 0) / wave.length);
    const hz = notes.indexOf(Math.max(...notes)) * context.sampleRate / analyser.fftSize;
    if (level > heard.level) heard = {level, hz};
  }
  await context.close();
  return heard;
}"""
FIGURES = """async () => {
  const peer = peers.at(-1);
  const all = [...(await peer.getStats()).values()];
  const find = (kind) => all.find((one) => one.type === 'inbound-rtp' && one.kind === kind) ?? {};
  const pair = all.find((one) => one.type === 'candidate-pair' && one.nominated) ?? {};
  const remote = all.find((one) => one.id === pair.remoteCandidateId) ?? {};
  const video = find('video'), audio = find('audio');
  const mime = ({codecId}) => all.find((one) => one.id === codecId)?.mimeType ?? '';
  return {
    peers: peers.length, state: peer.connectionState,
    protocol: remote.protocol ?? '', address: remote.address ?? '',
    video: mime(video), audio: mime(audio), decoded: video.framesDecoded ?? 0,
    fps: video.framesPerSecond ?? 0, freezes: video.freezeCount ?? 0, plis: video.pliCount ?? 0,
    lost: (video.packetsLost ?? 0) + (audio.packetsLost ?? 0),
    concealed: (audio.concealedSamples ?? 0) - (audio.silentConcealedSamples ?? 0),
    samples: audio.totalSamplesReceived ?? 0,
  };
}"""


def free_port() -> int:
    """Return a port that neither UDP nor TCP uses now."""
    for port in random.sample(PORTS, 100):
        with suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as tried:
                    tried.bind(("0.0.0.0", port))
            return port
    raise AssertionError("no free port")


async def figures(page: Page) -> dict[str, Any]:
    """Return what the page's newest connection tells; the page must have SPY."""
    found: dict[str, Any] = await page.evaluate(FIGURES)
    return found


async def listen(page: Page, seconds: float = 1.0) -> dict[str, float]:
    """Return `level` and `hz` of the loudest moment of what the page's video could be heard of."""
    heard: dict[str, float] = await page.evaluate(LISTEN, seconds)
    return heard


async def serve_npm_client(page: Page) -> None:
    """Let the page import the WHEP client of the npm registry, past the server."""

    async def answer(route: Route) -> None:
        await route.fulfill(path=NPM_CLIENT, content_type="text/javascript")

    await page.route("**/npm/whep.js", answer)


async def until_viewers(client: Client, count: int, timeout_s: float = 30.0) -> None:
    """Wait until the server counts so many viewers over WebRTC."""
    async with asyncio.timeout(timeout_s):
        while (await client.call("h5srtcapi/Status"))["nConnectCount"] != count:
            await asyncio.sleep(0.05)


def through_port(port: int) -> str:
    """Return a script that makes a page reach the server through another port of this machine."""
    return f"""
{{
  const set = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function ({{ type, sdp }}) {{
    const lines = sdp.split('\\r\\n').filter((line) => !/^a=candidate:.* tcp /i.test(line));
    const moved = lines.map((line) => line.startsWith('a=candidate:')
      ? line.replace(/ (udp) (\\d+) \\S+ \\d+ /i, ' $1 $2 127.0.0.1 {port} ') : line);
    return set.call(this, {{ type, sdp: moved.join('\\r\\n') }});
  }};
}}
"""


# How long each picture stood, in ms, for so many seconds.
STANDS = """(seconds) => new Promise((resolve) => {
  const video = document.querySelector('video');
  const stands = [];
  let before = NaN;
  const end = performance.now() + seconds * 1000;
  const next = (now) => {
    if (!Number.isNaN(before)) stands.push(now - before);
    before = now;
    if (now < end) video.requestVideoFrameCallback(next);
    else resolve(stands);
  };
  setTimeout(() => resolve([...stands, performance.now() - before]), seconds * 1000 + 2000);
  video.requestVideoFrameCallback(next);
})"""
