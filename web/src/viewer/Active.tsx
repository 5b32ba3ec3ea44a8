import type { ReactElement } from "react";
import { useReading } from "../store/reading";
import { css } from "./draw";

/** What is being painted, and how large it is with every stroke. */
export function Active({ liveMl }: { liveMl: ReadonlyMap<number, number> }): ReactElement | null {
  const active = useReading((s) => s.active);
  if (active === null) return null;
  return (
    <span className="in-hand" data-testid="active" data-number={active}>
      <i style={{ background: css(active) }} aria-hidden="true" />
      <span title="active finding">{active}</span>
      <span className="dim" data-testid="active-ml">
        {millilitres(liveMl.get(active) ?? 0)}
      </span>
    </span>
  );
}

/** Small ones to the hundredth, large ones to the tenth. */
export function millilitres(ml: number): string {
  return `${ml.toFixed(ml < 10 ? 2 : 1)} ml`;
}
