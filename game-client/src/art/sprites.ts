/** Drawings as pictures of the sizes that are painted: each is rasterised once a size and then only copied. */

export type Raster = CanvasImageSource;

/** Sizes that are kept: a painter asks for hundreds of pictures a second, of few sizes. */
const KEPT = 400;

/** See the module. */
export class Sprites {
  #images: ReadonlyMap<string, HTMLImageElement> = new Map();
  readonly #rasters = new Map<string, HTMLCanvasElement>();

  /** Fetches and decodes the drawings; they are no part of what the page needs to begin. */
  async load(): Promise<void> {
    const { drawings } = await import("virtual:drawings");
    const images = Object.entries(drawings).map(async ([name, svg]) => {
      const image = new Image();
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
      await image.decode();
      return [name, image] as const;
    });
    // All at once: a letter that stands for one that is not there yet would be kept in its place.
    this.#images = new Map(await Promise.all(images));
  }

  get loaded(): boolean {
    return this.#images.size > 0;
  }

  /** The address of a drawing for an `<img>`; `undefined`: there is none of that name. */
  address(name: string): string | undefined {
    return this.#images.get(name)?.src;
  }

  /** A square picture of `size` device pixels; for what has no drawing, its glyph. */
  at(name: string, size: number, glyph = "?"): Raster | undefined {
    if (!this.loaded) return undefined;
    const key = `${name} ${size}`;
    const known = this.#rasters.get(key);
    if (known) return known;
    const canvas = document.createElement("canvas");
    canvas.width = size;
    canvas.height = size;
    const context = canvas.getContext("2d");
    if (!context) return undefined;
    const image = this.#images.get(name);
    if (image) context.drawImage(image, 0, 0, size, size);
    else {
      context.font = `700 ${Math.round(size * 0.8)}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillStyle = "#12263a";
      context.fillText(glyph, size / 2, size / 2);
    }
    const oldest = this.#rasters.keys().next().value;
    if (this.#rasters.size >= KEPT && oldest !== undefined) this.#rasters.delete(oldest);
    this.#rasters.set(key, canvas);
    return canvas;
  }
}
