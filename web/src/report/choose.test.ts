import { expect, it } from "vitest";
import { matching } from "./choose";

const TYPES: [string, string][] = [
  ["liver_tumor", "liver tumour"],
  ["liver_cyst", "liver cyst"],
  ["kidney_cyst", "kidney cyst"],
  ["colorectal_cancer", "colorectal cancer"],
  ["other_mass", "mass of none of the fifteen types"],
];

it("a few letters of any word are enough, in any order", () => {
  expect(matching(TYPES, "cy").map(([value]) => value)).toEqual(["liver_cyst", "kidney_cyst"]);
  expect(matching(TYPES, "cyst ki").map(([value]) => value)).toEqual(["kidney_cyst"]);
  expect(matching(TYPES, "other").map(([value]) => value)).toEqual(["other_mass"]); // by its name as well
  expect(matching(TYPES, "  LIV ").map(([value]) => value)).toEqual(["liver_tumor", "liver_cyst"]);
});

it("nothing typed is every choice, and what is nowhere is none", () => {
  expect(matching(TYPES, "")).toEqual(TYPES);
  expect(matching(TYPES, "spleen")).toEqual([]);
});
