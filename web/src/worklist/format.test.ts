import { expect, test } from "vitest";
import { age, ageSex, clock, day, kept, moment, personName, stateWords, twoDigits } from "./format";

test.each([
  ["Muster^Erika", "Muster, Erika"],
  ["Muster^Erika^Maria^Dr", "Muster, Erika Maria (Dr)"],
  ["Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"],
  [" Solo ", "Solo"],
  ["", "no name"],
  ["^^^", "no name"],
])("a DICOM name %j reads %j", (raw, read) => expect(personName(raw)).toBe(read));

test.each([
  ["1960-05-04", "2024-05-03T10:00:00Z", "63"],
  ["1960-05-04", "2024-05-04T10:00:00Z", "64"],
  ["2025-01-01", "2024-05-04T10:00:00Z", ""],
  ["1800-01-01", "2024-05-04T10:00:00Z", ""],
  [null, "2024-05-04T10:00:00Z", ""],
  ["1960-05-04", null, ""],
])("who is born %s is at %s %j", (birth, at, years) => expect(age(birth, at)).toBe(years));

test("age and sex leave out what is missing", () => {
  expect(ageSex("1960-05-04", "2024-05-04T10:00:00Z", "f")).toBe("64 F");
  expect(ageSex(null, null, "M")).toBe("M");
  expect(ageSex(null, null, "")).toBe("");
});

test.each([[0, "00"], [0.049, "05"], [0.874, "87"], [0.999, "99"], [1, "99"], [-1, "00"], [7, "99"], [Number.NaN, ""], [null, ""]])(
  "a suspicion of %s reads %j",
  (value, read) => expect(twoDigits(value)).toBe(read),
);

test("a time of this year has its hour, an older one its year", () => {
  const now = new Date(2026, 10, 28, 15, 0);
  expect(moment(new Date(2026, 0, 2, 3, 4).toISOString(), now)).toBe("01-02 03:04");
  expect(moment(new Date(2025, 11, 31, 12, 0).toISOString(), now)).toBe("2025-12-31");
  expect(moment(null, now)).toBe("");
  expect(moment("nonsense", now)).toBe("");
  expect(day(null)).toBe("");
});

test("a running analysis tells how far it is", () => {
  expect(stateWords({ state: "running", progress: 0.437 })).toBe("running 43 %");
  expect(stateWords({ state: "running", progress: null })).toBe("running");
  expect(stateWords({ state: "ready", progress: 1 })).toBe("ready");
});

test("a time is told the same in every language", () => {
  expect(clock(new Date(2026, 0, 2, 3, 4).toISOString())).toBe("2026-01-02 03:04");
  expect([clock(null), clock("nonsense")]).toEqual(["", ""]);
});

test("the reader's number of findings stands apart from the AI's, and only once there is one", () => {
  expect(kept({ state: "ready", findings: 3, reported: null })).toBe("");
  expect(kept({ state: "draft", findings: 3, reported: 0 })).toBe("0");
  expect(kept({ state: "signed", findings: 0, reported: null })).toBe("0");
  expect(kept({ state: "failed", findings: null, reported: 1 })).toBe("1");
});
