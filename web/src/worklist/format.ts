// DICOM's values as a person reads them.

/** "Muster^Erika^^Dr" → "Muster, Erika (Dr)". */
export function personName(raw: string): string {
  const [family = "", given = "", middle = "", prefix = ""] = (raw.split("=")[0] ?? "").split("^").map((part) => part.trim());
  const first = [given, middle].filter(Boolean).join(" ");
  return [family, first].filter(Boolean).join(", ") + (prefix ? ` (${prefix})` : "") || "no name";
}

/** Whole years at the study's date. */
export function age(birth: string | null, at: string | null): string {
  if (!birth || !at) return "";
  const b = new Date(birth);
  const s = new Date(at);
  let years = s.getUTCFullYear() - b.getUTCFullYear();
  if (s.getUTCMonth() < b.getUTCMonth() || (s.getUTCMonth() === b.getUTCMonth() && s.getUTCDate() < b.getUTCDate())) years -= 1;
  return years >= 0 && years < 130 ? `${years}` : "";
}

export function day(at: string | null): string {
  return at ? at.slice(0, 10) : "";
}

export function clock(at: string | null): string {
  return at ? new Date(at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" }) : "";
}
