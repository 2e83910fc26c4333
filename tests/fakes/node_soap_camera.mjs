// An ONVIF camera whose SOAP is node-soap's, not ours: it reads and writes messages by the WSDL
// files, in its own way (prefixes, order, what it leaves out). Many virtual cameras are built on it.
// node_soap_camera.py starts it: `node node_soap_camera.mjs SETTINGS`; it prints its port.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const settings = JSON.parse(process.argv[2]);
const soap = createRequire(settings.packages)("soap");

const VELOCITY = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/VelocityGenericSpace";
const ZOOM = "http://www.onvif.org/ver10/tptz/ZoomSpaces/VelocityGenericSpace";
const PULLPOINT = "/onvif/pullpoint";
const MANAGER = "/onvif/manager";
const HOLD_MS = 1000;
const JPEG = Buffer.from([0xff, 0xd8, 0xff, 0xd9]);

const state = {
    moving: null,
    at: "",
    presets: [{ token: "1", name: "Gate" }],
    listeners: 0,
    refused: 0,
    asked: [],
};
const news = [];
let wake = () => {};
let base = "";

class Fault extends Error {
    constructor(code, reason) {
        super(reason);
        this.Fault = {
            Code: { Value: "soap:Sender", Subcode: { Value: code } },
            Reason: { Text: reason },
        };
    }
}

function findProfile(given) {
    const found = settings.profiles.find(({ token }) => token === given.ProfileToken);
    if (!found) throw new Fault("ter:NoProfile", "there is no such profile");
    return found;
}

function findPreset(given) {
    const found = state.presets.find(({ token }) => token === given.PresetToken);
    if (!found) throw new Fault("ter:NoToken", "there is no such preset");
    return found;
}

function describeProfile({ token, width, height }) {
    return {
        attributes: { token, fixed: true },
        Name: `${token} of node-soap`,
        VideoSourceConfiguration: {
            attributes: { token: "source-settings" },
            Name: "Lens",
            UseCount: 2,
            SourceToken: "source",
            Bounds: { attributes: { x: 0, y: 0, width, height } },
        },
        VideoEncoderConfiguration: {
            attributes: { token: `${token}-encoder` },
            Name: "Encoder",
            UseCount: 1,
            Encoding: "H264",
            Resolution: { Width: width, Height: height },
            Quality: 4,
            RateControl: { FrameRateLimit: 25, EncodingInterval: 1, BitrateLimit: 1024 },
            H264: { GovLength: 25, H264Profile: "Main" },
            SessionTimeout: "PT60S",
        },
        PTZConfiguration: {
            attributes: { token: "ptz" },
            Name: "Motor",
            UseCount: 2,
            NodeToken: "node",
        },
    };
}

const uriOf = (uri) => ({
    MediaUri: { Uri: uri, InvalidAfterConnect: false, InvalidAfterReboot: false, Timeout: "PT0S" },
});

const device = {
    GetSystemDateAndTime() {
        const now = new Date();
        const half = (a, b, c) => ({
            Time: { Hour: a.call(now), Minute: b.call(now), Second: c.call(now) },
            Date: {
                Year: now.getUTCFullYear(),
                Month: now.getUTCMonth() + 1,
                Day: now.getUTCDate(),
            },
        });
        const { getUTCHours, getUTCMinutes, getUTCSeconds } = Date.prototype;
        return {
            SystemDateAndTime: {
                DateTimeType: "NTP",
                DaylightSavings: false,
                TimeZone: { TZ: "UTC0" },
                UTCDateTime: half(getUTCHours, getUTCMinutes, getUTCSeconds),
            },
        };
    },

    GetCapabilities: () => ({
        Capabilities: {
            Device: { XAddr: `${base}/onvif/device_service` },
            Events: {
                XAddr: `${base}/onvif/events`,
                WSSubscriptionPolicySupport: false,
                WSPullPointSupport: true,
                WSPausableSubscriptionManagerInterfaceSupport: false,
            },
            Media: {
                XAddr: `${base}/onvif/media`,
                StreamingCapabilities: { RTPMulticast: false, RTP_TCP: true, RTP_RTSP_TCP: true },
            },
            PTZ: { XAddr: `${base}/onvif/ptz` },
        },
    }),
};

const media = {
    GetProfiles: () => ({ Profiles: settings.profiles.map(describeProfile) }),
    GetStreamUri: (given) => uriOf(findProfile(given).uri),
    GetSnapshotUri: (given) => uriOf(`${base}/picture?profile=${findProfile(given).token}`),
};

const range = { Min: -1, Max: 1 };
const ptz = {
    GetConfigurationOptions: () => ({
        PTZConfigurationOptions: {
            Spaces: {
                ContinuousPanTiltVelocitySpace: [{ URI: VELOCITY, XRange: range, YRange: range }],
                ContinuousZoomVelocitySpace: [{ URI: ZOOM, XRange: { Min: -0.5, Max: 0.5 } }],
            },
            PTZTimeout: { Min: "PT1S", Max: "PT60S" },
        },
    }),

    ContinuousMove(given) {
        findProfile(given);
        const pair = ({ attributes }) => Object.values(attributes).map(Number);
        state.moving = Object.fromEntries(
            Object.entries(given.Velocity).map(([part, vector]) => [part, pair(vector)]),
        );
        return {};
    },

    Stop(given) {
        findProfile(given);
        state.moving = null;
        return {};
    },

    GetPresets: (given) => ({
        Preset:
            findProfile(given) &&
            state.presets.map(({ token, name }) => ({ attributes: { token }, Name: name })),
    }),

    SetPreset(given) {
        findProfile(given);
        if (given.PresetToken) {
            findPreset(given).name = given.PresetName;
            return { PresetToken: given.PresetToken };
        }
        const token = `place-${state.presets.length + 1}`;
        state.presets.push({ token, name: given.PresetName });
        return { PresetToken: token };
    },

    GotoPreset(given) {
        findProfile(given);
        state.at = findPreset(given).token;
        return {};
    },

    RemovePreset(given) {
        findProfile(given);
        state.presets.splice(state.presets.indexOf(findPreset(given)), 1);
        return {};
    },
};

const now = () => new Date().toISOString();
const life = () => ({ CurrentTime: now(), TerminationTime: now() });

const events = {
    CreatePullPointSubscription() {
        state.listeners += 1;
        return { SubscriptionReference: { Address: base + PULLPOINT }, ...life() };
    },
};

const pullpoint = {
    async PullMessages() {
        if (!news.length) {
            await new Promise((resolve) => {
                wake = resolve;
                setTimeout(resolve, HOLD_MS).unref();
            });
        }
        return { ...life(), NotificationMessage: news.splice(0) };
    },
};

const manager = {
    Renew: life,
    Unsubscribe() {
        state.listeners -= 1;
        return {};
    },
};

function tell(isOn) {
    news.push({
        Topic: {
            attributes: { Dialect: "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet" },
            $value: "tns1:RuleEngine/CellMotionDetector/Motion",
        },
        Message: {
            $xml:
                `<tt:Message xmlns:tt="http://www.onvif.org/ver10/schema" UtcTime="${now()}">` +
                '<tt:Source><tt:SimpleItem Name="Rule" Value="door"/></tt:Source>' +
                `<tt:Data><tt:SimpleItem Name="IsMotion" Value="${isOn}"/></tt:Data></tt:Message>`,
        },
    });
    wake();
}

function isAllowed(security) {
    const token = security?.UsernameToken;
    if (token?.Username !== settings.user) return false;
    const made = createHash("sha1")
        .update(Buffer.from(token.Nonce.$value ?? token.Nonce, "base64"))
        .update(token.Created + settings.password)
        .digest("base64");
    return made === token.Password.$value;
}

/** Serve one port of a WSDL file; `binding` is for a port that the file has not. */
function serve(server, at, file, service, port, operations, binding = "") {
    const uri = path.join(settings.wsdl, file);
    const more =
        binding && `<wsdl:port name="${port}" binding="${binding}"><soap:address/></wsdl:port>`;
    const xml = readFileSync(uri, "utf8")
        .replace("</wsdl:service>", `${more}</wsdl:service>`)
        // node-soap finds the port by its address
        .replace(
            new RegExp(`(<wsdl:port name="${port}"[^>]*>\\s*)<soap:address[^>]*>`),
            `$1<soap:address location="http://camera${at}"/>`,
        );
    return new Promise((resolve, reject) => {
        const one = soap.listen(server, {
            path: at,
            xml,
            uri,
            services: { [service]: { [port]: operations } },
            forceSoap12Headers: true,
            suppressStack: true,
            callback: (error) => (error ? reject(error) : resolve()),
        });
        one.on("request", (_, operation) => state.asked.push(operation));
        one.authenticate = (security, done, _request, { Body }) => {
            const isRight = "GetSystemDateAndTime" in Body || isAllowed(security);
            state.refused += isRight ? 0 : 1;
            done(isRight);
        };
    });
}

const server = http.createServer((request, response) => {
    const url = new URL(request.url, "http://camera");
    if (url.pathname === "/picture") {
        response.setHeader("Content-Type", "image/jpeg");
        response.end(JPEG);
    } else if (url.pathname === "/state") {
        response.end(JSON.stringify(state));
    } else if (url.pathname === "/motion") {
        tell(url.searchParams.get("on"));
        response.end();
    } else {
        response.writeHead(404).end();
    }
});
await serve(
    server,
    "/onvif/device_service",
    "devicemgmt.wsdl",
    "DeviceService",
    "DevicePort",
    device,
);
await serve(server, "/onvif/media", "media.wsdl", "MediaService", "MediaPort", media);
await serve(server, "/onvif/ptz", "ptz.wsdl", "PTZService", "PTZPort", ptz);
await serve(server, "/onvif/events", "events.wsdl", "EventService", "EventPortType", events);
await serve(server, PULLPOINT, "events.wsdl", "EventService", "PullPointSubscription", pullpoint);
await serve(
    server,
    MANAGER,
    "events.wsdl",
    "EventService",
    "Manager",
    manager,
    "tev:SubscriptionManagerBinding",
);
server.prependListener("request", (request) => {
    // one address for what are two ports to node-soap
    if (/Renew|Unsubscribe/.test(request.headers["content-type"])) request.url = MANAGER;
});
server.listen(0, "127.0.0.1", () => {
    base = `http://127.0.0.1:${server.address().port}`;
    process.stdout.write(`${server.address().port}\n`);
});
process.stdin.on("end", () => process.exit()).resume();
