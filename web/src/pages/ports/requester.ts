const KEY = 'onex.requester';

let known: string | null = null;

/** The id by which this browser asks for ports: made up once and kept, since leases and their keys go by it. */
export function requesterId(): string {
  known ??= read() ?? made();
  return known;
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** A random UUID, also where the page came without encryption and the browser makes none. */
function made(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  try {
    localStorage.setItem(KEY, id);
  } catch {
    // It then holds as long as the page.
  }
  return id;
}
