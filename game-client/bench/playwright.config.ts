import base from "../playwright.config.ts";

/**
 * What takes long or needs a quiet machine: by hand, one at a time (`npm run bench -- frames`). Nothing is recorded meanwhile:
 * that takes longer than what is measured.
 */
export default { ...base, testDir: ".", use: { ...base.use, trace: "off" as const } };
