/** Who wants to hear of what; typed. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Calls `listener` whenever `event` happens; the answer takes it off again. */
  on<Name extends keyof Events>(event: Name, listener: (value: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Tells them all. One that throws is no reason for the others, or for who tells them, to stop half-way. */
  protected emit<Name extends keyof Events>(event: Name, value: Events[Name]): void {
    const listeners = this.#listeners.get(event);
    // Those that are added meanwhile hear of the next one.
    for (const listener of [...(listeners ?? [])]) {
      if (!listeners?.has(listener)) continue;
      try {
        (listener as (value: Events[Name]) => void)(value);
      } catch (error) {
        // Whoever wrote it hears of it where uncaught errors are heard of.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
