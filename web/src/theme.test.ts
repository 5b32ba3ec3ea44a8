import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const css = readFileSync(new URL("./theme.css", import.meta.url), "utf8");
const colours = new Map([...css.matchAll(/--([a-z-]+):\s*#([0-9a-f]{6});/g)].map((found) => [found[1] ?? "", found[2] ?? ""]));

/** WCAG 2.2, relative luminance of sRGB. */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [0, 2, 4].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

const of = (name: string): string => {
  const hex = colours.get(name);
  if (!hex) throw new Error(`theme.css has no colour --${name} of six digits`);
  return hex;
};

const GROUNDS = ["bg", "panel", "raised"];
const NO_TEXT = [...GROUNDS, "line", "on-accent"];
const texts = [...colours.keys()].filter((name) => !NO_TEXT.includes(name));

test("the measure is that of WCAG: black on white is 21, grey #767676 just passes", () => {
  expect(contrast("000000", "ffffff")).toBeCloseTo(21, 6);
  expect(contrast("767676", "ffffff")).toBeCloseTo(4.54, 2);
});

test("the colours that are known are found", () => {
  expect(texts).toEqual(expect.arrayContaining(["text", "dim", "strong", "accent", "ai", "good", "warn", "bad"]));
});

test.each(texts.flatMap((name) => GROUNDS.map((ground) => [name, ground] as const)))("--%s is readable on --%s", (name, ground) => {
  expect(contrast(of(name), of(ground))).toBeGreaterThanOrEqual(4.5);
});

test("words on the accent are readable", () => {
  expect(contrast(of("on-accent"), of("accent"))).toBeGreaterThanOrEqual(4.5);
});
