import type { ReactElement } from "react";

export default function Admin(_props: { topic?: string }): ReactElement {
  return <main className="page" />;
}
