/**
 * Whole numbers beyond 2^53. MessagePack's decoder gives a `number` where four bytes were enough and a `bigint` where they were
 * not: which one arrives says nothing about the value's meaning, so it is settled here.
 */

/** What the decoder gives for an unsigned integer. */
export type Whole = number | bigint;

/** Something came that the protocol does not have. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
}

/** Of a value that may exceed 2^53: slots, prices, seeds. */
export function toBigInt(value: unknown): bigint {
  if (typeof value === "bigint" && value >= 0n) return value;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw new ProtocolError(`not an unsigned integer: ${String(value)}`);
}

/** Of a value that the protocol keeps below 2^53: times, counts, coordinates. */
export function toNumber(value: unknown): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
  throw new ProtocolError(`not an unsigned integer below 2^53: ${String(value)}`);
}

/**
 * `value` with every `bigint` in it a number, as in the HTTP API's JSON. One beyond 2^53 stays what it is: a message is not to be lost
 * for the sake of a number that it only repeats.
 */
export function withNumbers(value: unknown): unknown {
  if (typeof value === "bigint") return value <= Number.MAX_SAFE_INTEGER ? toNumber(value) : value;
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withNumbers(inner)]));
}
