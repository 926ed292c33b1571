/** What the browser remembers between visits: who plays, and which character lives on the next field. */

/** A player, and the secret that proves it. */
export interface Identity {
  readonly name: string;
  readonly token: string;
}

const PLAYER = "icefarm.player";
const CHARACTER = "icefarm.character";
const READ = "icefarm.read";

/** Who plays here; `undefined`: nobody yet, or the browser keeps nothing. */
export function identity(): Identity | undefined {
  const text = read(PLAYER);
  if (text === undefined) return undefined;
  try {
    const kept = JSON.parse(text) as Partial<Identity>;
    if (typeof kept.name === "string" && typeof kept.token === "string") return { name: kept.name, token: kept.token };
  } catch {
    // Not ours, or of another time: as good as nothing.
  }
  return undefined;
}

/** Remembers who plays, or that nobody does any more. */
export function keepIdentity(player: Identity | undefined): void {
  write(PLAYER, player && JSON.stringify(player));
}

export function character(): string | undefined {
  return read(CHARACTER);
}

export function keepCharacter(name: string): void {
  write(CHARACTER, name);
}

export function readLevel(): string | undefined {
  return read(READ);
}

export function keepReadLevel(level: string): void {
  write(READ, level);
}

/** A browser may forbid to keep anything: then one plays on until the page is closed. */
function read(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

function write(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // See above.
  }
}
