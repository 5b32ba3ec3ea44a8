import { useEffect, useState, type ReactElement, type RefObject } from "react";
import { STATES, UNSIGNED, useList, type State } from "./list";

const WAIT_MS = 120;

interface Props {
  search: RefObject<HTMLInputElement | null>;
  grid: RefObject<HTMLDivElement | null>;
  help: () => void;
}

/** Search, filters with their counts, refresh and help. */
export function Bar({ search, grid, help }: Props): ReactElement {
  const { query, counts, flagged, fresh, busy, ask, refresh } = useList();
  const [typed, setTyped] = useState(query.q);
  useEffect(() => {
    if (typed === useList.getState().query.q) return;
    const timer = setTimeout(() => ask({ ...useList.getState().query, q: typed }), WAIT_MS);
    return () => clearTimeout(timer);
  }, [typed, ask]);
  useEffect(() => setTyped(query.q), [query.q]);
  const unsigned = UNSIGNED.every((state) => query.states.includes(state)) && query.states.length === UNSIGNED.length;
  const chosen = unsigned ? [] : query.states;
  const turn = (state: State): void => ask({ ...query, states: chosen.includes(state) ? chosen.filter((s) => s !== state) : [...chosen, state] });
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
      <button
        className={unsigned ? "chip on" : "chip"}
        aria-pressed={unsigned}
        data-testid="filter-unsigned"
        title="Only what is not signed (U)"
        onClick={() => ask({ ...query, states: unsigned ? [] : UNSIGNED })}
      >
        unsigned
      </button>
      {STATES.map((state) => (
        <button
          key={state}
          className={chosen.includes(state) ? "chip on" : "chip"}
          aria-pressed={chosen.includes(state)}
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
        title="Only studies in which the AI found something (F)"
        onClick={() => ask({ ...query, flagged: !query.flagged })}
      >
        flagged <span className="count">{flagged}</span>
      </button>
      <span className="spread" />
      <Told />
      <button data-testid="refresh" className={fresh.size ? "on" : undefined} onClick={refresh} aria-busy={busy}>
        {fresh.size ? `Load ${fresh.size} new` : "Refresh"} <kbd>R</kbd>
      </button>
      <button onClick={help} aria-label="Keys">
        <kbd>?</kbd>
      </button>
    </div>
  );
}

/** Whether the list is what the server has; rows are never covered or moved. */
function Told(): ReactElement {
  const { fresh, stale, live } = useList();
  const words = !live ? "Not connected: changes are not shown" : stale ? "The list may have changed" : "";
  return (
    <span className="told" data-testid="told">
      <span role="status" className={live ? "dim" : "warn"} title={words}>{words}</span>
      {/* for those who do not see the button change */}
      <span role="status" className="unseen">{fresh.size ? `${fresh.size} new studies; R loads them` : ""}</span>
    </span>
  );
}
