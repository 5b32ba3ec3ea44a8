import { expect, test } from "vitest";
import type { StudyRow } from "../api/client";
import { FIRST, PAGE, pathOf, rowAt, sorted, told, type Shown } from "./list";

const row = (id: string, more: Partial<StudyRow> = {}): StudyRow => ({
  id, study_uid: `1.2.${id}`, state: "ready", source: "upload", problem: "", patient_id: id, patient_name: `N^${id}`, birth_date: null, sex: "", accession: "",
  description: "", study_at: null, received_at: "2026-01-01T00:00:00Z", changed_at: "2026-01-01T00:00:00Z", images: 1, suspicion: null, findings: null, reported: null, priority: 0,
  restricted: false, stage: "", ...more,
}); // prettier-ignore

const shown = (): Shown => ({
  pages: { 0: [row("a"), row("b")], 3: [row("c")] },
  counts: { ready: 3 },
  fresh: new Set(),
  listedAt: Date.parse("2026-01-02T00:00:00Z"),
});

test("a changed study is replaced where it stands, on whatever page, and counts follow", () => {
  const next = told(shown(), row("c", { state: "draft", suspicion: 0.99 }));
  expect(next.pages?.[3]?.map((one) => [one.id, one.state])).toEqual([["c", "draft"]]);
  expect(next.pages?.[0]?.map((one) => one.id)).toEqual(["a", "b"]);
  expect(next.counts).toEqual({ ready: 2, draft: 1 });
});

test("a study that came since then is counted once and not shown", () => {
  const first = told(shown(), row("new", { received_at: "2026-01-02T00:00:01Z" }));
  expect(first.pages).toBeUndefined();
  expect([...(first.fresh ?? [])]).toEqual(["new"]);
  expect(told({ ...shown(), ...first }, row("new", { received_at: "2026-01-02T00:00:01Z" }))).toEqual({});
});

test("an older study that is not on a fetched page is not called new", () => expect(told(shown(), row("far"))).toEqual({}));

test("the same column turns the order round; another begins with its own", () => {
  expect(sorted(FIRST, "suspicion")).toMatchObject({ sort: "suspicion", desc: false });
  expect(sorted(FIRST, "patient")).toMatchObject({ sort: "patient", desc: false });
  expect(sorted(sorted(FIRST, "patient"), "time")).toMatchObject({ sort: "time", desc: true });
});

test("the question carries every filter, and words as they were typed", () => {
  const asked = new URL(pathOf({ ...FIRST, states: ["failed", "ready"], flagged: true, q: " a&b=c% " }, 2), "http://x").searchParams;
  expect(asked.getAll("state")).toEqual(["failed", "ready"]);
  expect(asked.get("q")).toBe("a&b=c%");
  expect(asked.get("flagged")).toBe("true");
  expect(asked.get("offset")).toBe(String(2 * PAGE));
});

test("a row is found by its place in the whole list", () => {
  expect(rowAt(shown().pages, 1)?.id).toBe("b");
  expect(rowAt(shown().pages, 3 * PAGE)?.id).toBe("c");
  expect(rowAt(shown().pages, PAGE)).toBeUndefined();
});

test("a name is found as it is shown, and as DICOM writes it", () => {
  const q = (typed: string): string | null => new URLSearchParams(pathOf({ ...FIRST, q: typed }, 0).split("?")[1]).get("q");
  expect(q("Muster, Erika")?.split(/\s+/)).toEqual(["Muster", "Erika"]);
  expect(q("Muster^Erika")?.split(/\s+/)).toEqual(["Muster", "Erika"]);
  expect(q(" , ")).toBeNull();
});
