import { expect, it } from "vitest";
import { HELP } from "./keys";

it("no letter or digit is told of twice", () => {
  const keys = Object.values(HELP)
    .flat()
    .filter(({ keys: told }) => !told.includes("Ctrl"))
    .flatMap(({ keys: told }) => told.split(/[\s,()]+/))
    .filter((key) => /^[A-Z0-9]$/.test(key));
  expect(keys.length).toBeGreaterThan(20);
  expect(new Set(keys).size).toBe(keys.length);
});
