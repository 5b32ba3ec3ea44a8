import type { ReactElement } from "react";

export default function StudyView({ studyId }: { studyId: string }): ReactElement {
  return <main className="page">{studyId}</main>;
}
