import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, type ReactElement, type RefObject } from "react";
import type { StudyRow } from "../api/client";
import { go } from "../app/route";
import { PAGE, rowAt, sorted, useList, type Sort } from "./list";
import { Row } from "./Row";

export const ROW = 26;
const COLUMNS: [string, Sort?][] = [
  ["State"], ["Suspicion", "suspicion"], ["Patient", "patient"], ["ID"], ["Age"], ["Description"], ["Study date"], ["Images"],
  ["AI"], ["Read"], ["Source"], ["Received", "time"], ["Changed", "changed"], ["Prio"], [""], [""],
]; // prettier-ignore

interface Props {
  scroller: RefObject<HTMLDivElement | null>;
  manager: boolean;
  retry: (row: StudyRow) => void;
  manage: (row: StudyRow) => void;
}

const NUMBERS: readonly string[] = ["Images", "AI", "Read", "Prio"];
const MEANS: Readonly<Record<string, string>> = {
  Suspicion: "The AI's; it orders the list and changes nothing else",
  AI: "Findings of the AI",
  Read: "Findings that the reading keeps, once a reader changed something",
  Prio: "Priority of the analysis",
};

/** The place is kept for when one comes back; aside, in another tab, one stays. */
export function open(index: number, row: StudyRow, aside = false): void {
  useList.getState().choose(index);
  if (aside) window.open(`/study/${row.id}`, "_blank", "noopener");
  else go(`/study/${row.id}`);
}

/** Only the lines in view are drawn; pages are fetched as they come into view. */
export function Grid({ scroller, manager, retry, manage }: Props): ReactElement {
  const { pages, total, index, query, busy, listedAt, want } = useList();
  const listed = total !== null;
  const lines = useVirtualizer({
    count: total ?? 0,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 15,
    scrollPaddingStart: ROW,
    paddingStart: ROW,
  });
  const drawn = lines.getVirtualItems();
  const [first, last] = [drawn[0]?.index ?? 0, drawn.at(-1)?.index ?? 0];
  useEffect(() => {
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) want(page);
  }, [first, last, listedAt, total, want]);
  useEffect(() => {
    if (total) lines.scrollToIndex(index, { align: "auto" });
    // not with each listing: a refresh leaves what was scrolled to where it is
  }, [index, query, listed]);
  return (
    <div
      ref={scroller}
      role="grid"
      tabIndex={0}
      aria-label="Studies"
      aria-rowcount={total === null ? -1 : total + 1}
      aria-busy={busy}
      aria-activedescendant={total ? `row-${index}` : undefined}
      className="wl-grid"
    >
      <div className="wl-lines" role="rowgroup" style={{ height: lines.getTotalSize() || ROW }}>
        <Head />
        {drawn.map((line) => (
          <Row
            key={line.index}
            row={rowAt(pages, line.index)}
            index={line.index}
            top={line.start}
            chosen={line.index === index}
            manager={manager}
            open={open}
            retry={retry}
            manage={manage}
          />
        ))}
      </div>
    </div>
  );
}

function Head(): ReactElement {
  const { query, ask } = useList();
  return (
    <div role="row" aria-rowindex={1} className="wl-row wl-head">
      {COLUMNS.map(([words, sort], at) => {
        const on = sort === query.sort;
        return (
          <span
            key={at}
            role="columnheader"
            aria-label={words ? undefined : at === COLUMNS.length - 1 ? "Actions" : "Restricted"}
            title={MEANS[words]}
            aria-sort={on ? (query.desc ? "descending" : "ascending") : undefined}
            className={NUMBERS.includes(words) ? "number" : undefined}
          >
            {sort ? (
              <button className={on ? "plain sort on" : "plain sort"} data-testid={`sort-${sort}`} onClick={() => ask(sorted(query, sort))}>
                {words} {on ? (query.desc ? "↓" : "↑") : ""}
              </button>
            ) : (
              words
            )}
          </span>
        );
      })}
    </div>
  );
}
