/** Banners: the eight kinds of players where names cannot be told apart. Follows from the name (`crates/world/src/banner.rs`). */

/** How many there are. */
export const BANNERS = 8;

const utf8 = new TextEncoder();

/** The banner of the player of that name, 0 to 7: FNV-1a, 32 bits, over its UTF-8, folded to three bits. */
export function bannerOf(name: string): number {
  let hash = 0x811c_9dc5;
  for (const byte of utf8.encode(name)) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return (hash ^ (hash >>> 16)) & 7;
}
