import { useEffect, useState, type ReactElement, type RefObject } from "react";
import { STATES, useList, type State } from "./list";

const WAIT_MS = 200;

/** Search, filters with their counts, refresh and help. */
export function Bar({ search, grid, help }: { search: RefObject<HTMLInputElement | null>; grid: RefObject<HTMLDivElement | null>; help: () => void }): ReactElement {
  const { query, counts, fresh, stale, busy, ask, refresh } = useList();
  const [typed, setTyped] = useState(query.q);
  useEffect(() => {
    if (typed === useList.getState().query.q) return;
    const timer = setTimeout(() => ask({ ...useList.getState().query, q: typed }), WAIT_MS);
    return () => clearTimeout(timer);
  }, [typed, ask]);
  useEffect(() => setTyped(query.q), [query.q]);
  const turn = (state: State): void => ask({ ...query, states: query.states.includes(state) ? query.states.filter((s) => s !== state) : [...query.states, state] });
  const all = Object.values(counts).reduce((sum, n) => sum + n, 0);
  return (
    <div className="wl-bar" role="toolbar" aria-label="Filters">
      <input
        ref={search}
        data-testid="search"
        type="text"
        role="searchbox"
        aria-label="Search by name, ID, accession or description"
        placeholder="Search  /"
        maxLength={200}
        spellCheck={false}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            setTyped("");
            grid.current?.focus();
          } else if (event.key === "Enter" || event.key === "ArrowDown") {
            event.preventDefault();
            grid.current?.focus();
          }
        }}
      />
      <button
        className={query.states.length ? "chip" : "chip on"}
        aria-pressed={!query.states.length}
        data-testid="filter-all"
        onClick={() => ask({ ...query, states: [] })}
      >
        all <span className="count">{all}</span>
      </button>
      {STATES.map((state) => (
        <button
          key={state}
          className={query.states.includes(state) ? "chip on" : "chip"}
          aria-pressed={query.states.includes(state)}
          data-testid={`filter-${state}`}
          onClick={() => turn(state)}
        >
          {state} <span className="count">{counts[state] ?? 0}</span>
        </button>
      ))}
      <button
        className={query.flagged ? "chip on" : "chip"}
        aria-pressed={query.flagged}
        data-testid="filter-flagged"
        title="Only studies with findings (F)"
        onClick={() => ask({ ...query, flagged: !query.flagged })}
      >
        flagged
      </button>
      <span className="spread" />
      <span role="status" className="wl-fresh">
        {fresh.size > 0 ? `${fresh.size} new: refresh (R)` : stale ? "The list may have changed: refresh (R)" : ""}
      </span>
      <button data-testid="refresh" className={fresh.size || stale ? "on" : undefined} onClick={refresh} aria-busy={busy}>
        Refresh <kbd>R</kbd>
      </button>
      <button onClick={help} aria-label="Keys">
        <kbd>?</kbd>
      </button>
    </div>
  );
}
