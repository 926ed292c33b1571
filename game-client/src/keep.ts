/** What the browser remembers between visits: who plays, and which character lives on the next field. */

/** A player, and the secret that proves it. */
export interface Identity {
  readonly name: string;
  readonly token: string;
}

const PLAYER = "icefarm.player";
const CHARACTER = "icefarm.character";
const READ = "icefarm.read";

/** Who played here last; `undefined`: nobody yet, or the browser keeps nothing. */
export function identity(): Identity | undefined {
  return parsed(read(PLAYER));
}

/** Who played here last in that cluster: the same address may be another world's tomorrow, and this one's again. */
export function identityIn(cluster: string): Identity | undefined {
  return parsed(read(`${PLAYER}:${cluster}`));
}

/** Remembers who plays, in which cluster if that is known; `false`: the browser does not. Nobody who was is ever forgotten. */
export function keepIdentity(player: Identity, cluster: string | undefined): boolean {
  const text = JSON.stringify(player);
  return write(PLAYER, text) && (cluster === undefined || write(`${PLAYER}:${cluster}`, text));
}

function parsed(text: string | undefined): Identity | undefined {
  if (text === undefined) return undefined;
  try {
    const kept = JSON.parse(text) as Partial<Identity>;
    if (typeof kept.name === "string" && typeof kept.token === "string") return { name: kept.name, token: kept.token };
  } catch {
    // Not ours, or of another time: as good as nothing.
  }
  return undefined;
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

function write(key: string, value: string): boolean {
  try {
    localStorage.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}
