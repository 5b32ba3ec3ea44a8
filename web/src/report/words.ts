// What the report panel says of findings: sizes, the AI's word beside the reader's, and what may be signed.
import type { Finding, Reading } from "../api/client";

export const readable = (raw: string): string => raw.replaceAll("_", " ");

export function sizeWords(finding: Finding, liveMl: number | undefined): string {
  const ml = liveMl ?? finding.size?.volume_ml;
  if (!ml) return "nothing painted";
  const volume = ml < 10 ? ml.toFixed(2) : ml.toFixed(1);
  if (!finding.size) return `${volume} ml`;
  return `${finding.size.long.length_mm.toFixed(0)} × ${finding.size.short.length_mm.toFixed(0)} mm · ${volume} ml`;
}

/** kidney_left as "left kidney", rib_left_8 as "left rib 8"; another side than the name's own is left to the name. */
export function organWords(organ: string, side = ""): string {
  const words = organ.split("_").filter(Boolean);
  const own = words.find((word) => word === "left" || word === "right");
  const first = own ?? (words.length > 0 ? side : "");
  return [first, ...words.filter((word) => word !== own)].filter(Boolean).join(" ");
}

export function placeWords(finding: Finding): string {
  const organ = organWords(finding.organ, finding.side);
  const side = /^(left|right) /.exec(organ)?.[0] ?? "";
  const part = side ? finding.location.replace(side, "") : finding.location;
  return organ ? `${organ}${part && part !== organ ? `, ${part}` : ""}` : "place unknown";
}

/** What the AI had said of an attribute, where it is worth telling beside the present value, in the words of the choices. */
export function aiWords(attribute: Finding["attributes"][string], choices: readonly [string, string][] = []): string {
  const worded = (value: string): string => choices.find(([one]) => one === value)?.[1] ?? value;
  const parts: string[] = [];
  if (attribute.ai && attribute.ai !== attribute.value) {
    const percent = attribute.probability == null ? "" : ` ${Math.min(99, Math.round(100 * attribute.probability))} %`; // never certain
    parts.push(`AI: ${worded(attribute.ai)}${percent}`);
  }
  if (attribute.measured && attribute.measured !== attribute.value) parts.push(`measured: ${worded(attribute.measured)}`);
  return parts.join(" · ");
}

/** Choices with the present value among them, also where it is none of them (any more). */
export function withPresent(choices: readonly [string, string][], present: string): [string, string][] {
  return choices.some(([value]) => value === present) ? [...choices] : [[present, readable(present)], ...choices];
}

export interface Signable {
  open: number[];
  empty: number[];
  accepted: number;
  rejected: number;
}

/** What stands between a reading and its signature. */
export function signable(reading: Reading): Signable {
  const accepted = reading.findings.filter((one) => one.decision === "accepted");
  return {
    open: reading.findings.filter((one) => one.decision === "open").map((one) => one.number),
    empty: accepted.filter((one) => !one.size).map((one) => one.number),
    accepted: accepted.length,
    rejected: reading.findings.filter((one) => one.decision === "rejected").length,
  };
}

/** What has still to be decided before a signature. */
export function undecided(reading: Reading): string {
  const { open, empty } = signable(reading);
  const parts = [open.length > 0 ? `${open.length} not decided` : "", empty.length > 0 ? `${empty.length} without an outline` : ""];
  return parts.filter(Boolean).join(", ");
}

export function change(then: number | null, now: number | null): string {
  if (then === null) return "new";
  if (now === null) return "gone";
  if (then <= 0) return "";
  return `${now >= then ? "+" : "−"}${Math.abs((100 * (now - then)) / then).toFixed(0)} %`;
}

/** What a measurement came to. */
export function valuesWords(values: Record<string, number>): string {
  const mm = (v: number | undefined): string => (v === undefined ? "" : v.toFixed(1));
  if (values.length_mm !== undefined) return `${mm(values.length_mm)} mm`;
  if (values.long_mm !== undefined) return `${mm(values.long_mm)} × ${mm(values.short_mm)} mm`;
  if (values.area_mm2 !== undefined) return `${(values.area_mm2 / 100).toFixed(2)} cm², ${values.mean_hu?.toFixed(0)} ± ${values.sd_hu?.toFixed(0)} HU`;
  return "";
}

/** The middle of some points. */
export function middle(points: readonly (readonly number[])[]): [number, number, number] {
  const mean = (axis: number): number => points.reduce((sum, p) => sum + p[axis]!, 0) / points.length;
  return [mean(0), mean(1), mean(2)];
}
