// MD5 (RFC 1321) of a text in UTF-8. Login sends passwords so, as H5Stream's dashboards do; it hides
// nothing from who can read the line, which is what HTTPS is for.

const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
];
const SINES = Array.from({ length: 64 }, (_, i) =>
  Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32),
);

/**
 * The MD5 of a text as 32 lower-case hex digits.
 * @param {string} text
 */
export function md5(text) {
  const words = pad(new TextEncoder().encode(text));
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < words.length; at += 16) state = digest(state, words.subarray(at, at + 16));
  const bytes = new Uint8Array(new Uint32Array(state).buffer);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Step 3.1 and 3.2: a one bit, zeros, the length in bits.
 * @param {Uint8Array} data
 */
function pad(data) {
  const blocks = Math.ceil((data.length + 9) / 64);
  const bytes = new Uint8Array(blocks * 64);
  bytes.set(data);
  bytes[data.length] = 0x80;
  new DataView(bytes.buffer).setUint32(bytes.length - 8, data.length * 8, true);
  new DataView(bytes.buffer).setUint32(bytes.length - 4, Math.floor(data.length / 2 ** 29), true);
  return new Uint32Array(bytes.buffer);
}

/**
 * Step 3.4: one block of 16 words.
 * @param {number[]} state
 * @param {Uint32Array} block
 */
function digest(state, block) {
  let [a, b, c, d] = /** @type {[number, number, number, number]} */ (state);
  for (let i = 0; i < 64; i += 1) {
    const round = i >> 4;
    const sum = (a + mix(round, b, c, d) + word(block, round, i) + (SINES[i] ?? 0)) | 0;
    const shift = SHIFTS[round]?.[i & 3] ?? 0;
    [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0];
  }
  return [a, b, c, d].map((value, i) => (value + (state[i] ?? 0)) >>> 0);
}

/**
 * @param {number} round
 * @param {number} x
 * @param {number} y
 * @param {number} z
 */
function mix(round, x, y, z) {
  if (round === 0) return (x & y) | (~x & z);
  if (round === 1) return (x & z) | (y & ~z);
  if (round === 2) return x ^ y ^ z;
  return y ^ (x | ~z);
}

/**
 * @param {Uint32Array} block
 * @param {number} round
 * @param {number} i
 */
function word(block, round, i) {
  const places = [i, 5 * i + 1, 3 * i + 5, 7 * i];
  return block[(places[round] ?? 0) % 16] ?? 0;
}
