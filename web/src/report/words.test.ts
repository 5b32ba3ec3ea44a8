import { expect, it } from "vitest";
import type { Finding, Reading } from "../api/client";
import { aiWords, change, middle, placeWords, signable, sizeWords, undecided, valuesWords, withPresent } from "./words";

const finding = (more: Partial<Finding>): Finding =>
  ({ number: 1, decision: "open", organ: "kidney_left", side: "left", location: "", size: null, attributes: {}, ...more }) as Finding;
const caliper = (length_mm: number): unknown => ({ length_mm, ends_ijk: [], ends_xyz: [] });
const size = { volume_ml: 3.14159, long: caliper(21.6), short: caliper(14.2) } as Finding["size"];

it("tells the painted volume before the server has measured it", () => {
  expect(sizeWords(finding({ size }), undefined)).toBe("22 × 14 mm · 3.14 ml");
  expect(sizeWords(finding({ size }), 12.34)).toBe("22 × 14 mm · 12.3 ml");
  expect(sizeWords(finding({}), 0.5)).toBe("0.50 ml");
  expect(sizeWords(finding({}), undefined)).toBe("nothing painted");
});

it("names a side once", () => {
  expect(placeWords(finding({}))).toBe("left kidney");
  expect(placeWords(finding({ location: "left upper pole" }))).toBe("left kidney, upper pole");
  expect(placeWords(finding({ organ: "lung", location: "upper zone" }))).toBe("left lung, upper zone");
  expect(placeWords(finding({ organ: "rib_right_8", side: "right" }))).toBe("right rib 8");
  expect(placeWords(finding({ organ: "liver", side: "", location: "segment VII" }))).toBe("liver, segment VII");
  expect(placeWords(finding({ organ: "" }))).toBe("place unknown");
});

it("tells the AI's word only where it differs", () => {
  const base = { value: "Irregular", by: "reader", ai: "Round-like", probability: 0.81, measured: "Irregular" } as Finding["attributes"][string];
  expect(aiWords(base)).toBe("AI: Round-like 81 %");
  expect(aiWords({ ...base, value: "Other", probability: 0.999 }, [["Round-like", "rounded"]])).toBe("AI: rounded 99 % · measured: Irregular");
  expect(aiWords({ ...base, value: "Round-like", measured: "Round-like" })).toBe("");
});

it("offers the present value also where it is no choice any more", () => {
  expect(withPresent([["a", "A"]], "a")).toEqual([["a", "A"]]);
  expect(withPresent([["a", "A"]], "old_name")).toEqual([
    ["old_name", "old name"],
    ["a", "A"],
  ]);
});

it("knows what stands between a reading and its signature", () => {
  const findings = [finding({}), finding({ number: 2, decision: "accepted", size }), finding({ number: 3, decision: "accepted" }), finding({ number: 4, decision: "rejected" })];
  expect(signable({ findings } as Reading)).toEqual({ open: [1], empty: [3], accepted: 2, rejected: 1 });
});

it("tells growth, loss and news", () => {
  expect([change(10, 13), change(10, 5), change(null, 4), change(4, null), change(0, 4)]).toEqual(["+30 %", "−50 %", "new", "gone", ""]);
});

it("tells what has to be decided before a signature, and nothing when all is", () => {
  const reading = (...findings: Partial<Finding>[]): Reading => ({ findings: findings.map((one, n) => finding({ number: n + 1, ...one })) }) as Reading;
  expect(undecided(reading({}, {}, { decision: "accepted" }))).toBe("2 not decided, 1 without an outline");
  expect(undecided(reading({ decision: "rejected" }, { decision: "accepted", size }))).toBe("");
});

it("measurements in words, and where their middle is", () => {
  expect(valuesWords({ length_mm: 12.34 })).toBe("12.3 mm");
  expect(valuesWords({ long_mm: 20, short_mm: 9.96 })).toBe("20.0 × 10.0 mm");
  expect(valuesWords({ area_mm2: 250, mean_hu: 41.2, sd_hu: 7.7 })).toBe("2.50 cm², 41 ± 8 HU");
  expect(middle([[0, 0, 0], [4, 2, 6]])).toEqual([2, 1, 3]);
});
