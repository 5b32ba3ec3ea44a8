import type { ReactElement } from "react";
import type { Finding, Study } from "../api/client";

export function openSign(): void {
  document.getElementById("sign")?.click();
}

export function ReportPanel(_props: {
  study: Study;
  liveMl: ReadonlyMap<number, number>;
  onJump: (finding: Finding) => void;
  onPrior: (studyId: string | null) => void;
}): ReactElement {
  return <aside />;
}
