import type { ReactElement } from "react";

export default function Import(_props: { topic?: string }): ReactElement {
  return <main className="page" />;
}
