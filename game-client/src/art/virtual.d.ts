declare module "virtual:drawings" {
  /** SVG text by name. */
  export const drawings: Readonly<Record<string, string>>;
}
