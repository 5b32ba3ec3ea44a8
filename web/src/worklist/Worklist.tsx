import { useCallback, useEffect, useRef, useState, type ReactElement } from "react";
import { call, type StudyRow } from "../api/client";
import { wordsOf } from "../api/loaded";
import { Dialog, Problem } from "../app/Dialog";
import { go } from "../app/route";
import { useSession } from "../store/session";
import { Bar } from "./Bar";
import { useEvents } from "./events";
import { clock } from "./format";
import { Grid, open, ROW } from "./Grid";
import { actOf, HELP, moved, placeOf, type Act } from "./keys";
import { FIRST, rowAt, sorted, UNSIGNED, useList } from "./list";
import { Manage } from "./Manage";
import "./worklist.css";

/** Every study the account may see, the most suspicious first; the order changes only when it is asked to. */
export function Worklist(): ReactElement {
  const user = useSession((session) => session.user);
  const manager = user?.role === "manager";
  const { total, query, problem, enter, leave, refresh, ask } = useList();
  const chosen = useList((list) => rowAt(list.pages, list.index));
  const scroller = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const [managed, setManaged] = useState<StudyRow | null>(null);
  const [help, setHelp] = useState(false);
  const [trouble, setTrouble] = useState("");
  const owner = user?.id ?? "";
  useEffect(() => {
    enter(owner);
    scroller.current?.focus({ preventScroll: true });
    return leave;
  }, [owner, enter, leave]);
  useEvents();
  const showHelp = useCallback(() => setHelp(true), []);
  const retry = useCallback((row: StudyRow) => {
    setTrouble("");
    call("POST", `/api/studies/${row.id}/analyse`)
      .then(() => useList.getState().tell({ ...row, state: "queued", problem: "" }))
      .catch((error: unknown) => setTrouble(wordsOf(error)));
  }, []);
  useKeys({ grid: scroller, search, manager, manage: setManaged, retry, help: showHelp });
  const narrowed = query.q !== "" || query.states.length > 0 || query.flagged;
  return (
    <main className="page full wl">
      <h1 className="unseen">Worklist</h1>
      <Bar search={search} grid={scroller} help={showHelp} problem={trouble || (total === null ? "" : problem)} />
      <div className="wl-body">
        <Grid scroller={scroller} manager={manager} retry={retry} manage={setManaged} />
        <div className="wl-over">
          {total === null && <Problem words={problem} retry={refresh} />}
          {total === null && !problem && <p className="dim">Loading…</p>}
          {total === 0 && (
            <p className="notice">
              {narrowed ? "No study meets the search and filters. " : "No studies yet. A PACS sends them, or one can "}
              {narrowed ? <button onClick={() => ask({ ...FIRST, sort: query.sort, desc: query.desc })}>Show all</button> : <button onClick={() => go("/import")}>import them</button>}
            </p>
          )}
        </div>
      </div>
      <footer className="wl-foot">
        {chosen && (
          <>
            {chosen.state === "failed" && chosen.problem ? <span className="bad">{chosen.problem}</span> : <span className="what">{chosen.description || "no description"}</span>}
            <span className="spread" />
            {chosen.state === "running" && <span>{chosen.stage}</span>}
            {chosen.accession && <span>accession {chosen.accession}</span>}
            <span>received {clock(chosen.received_at)}</span>
            <span>changed {clock(chosen.changed_at)}</span>
          </>
        )}
        <span>{total === null ? "" : `${total} ${total === 1 ? "study" : "studies"}`}</span>
      </footer>
      {managed && <Manage row={managed} close={() => setManaged(null)} changed={refresh} />}
      {help && (
        <Dialog title="Keys" close={() => setHelp(false)}>
          <table>
            <tbody>
              {HELP.map(([keys, words]) => (
                <tr key={keys}>
                  <td>{keys.split("  ").map((key) => <kbd key={key}>{key}</kbd>)}</td>
                  <td>{words}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Dialog>
      )}
    </main>
  );
}

type Ref<T> = { readonly current: T | null };

interface Hands {
  grid: Ref<HTMLDivElement>;
  search: Ref<HTMLInputElement>;
  manager: boolean;
  manage: (row: StudyRow) => void;
  retry: (row: StudyRow) => void;
  help: () => void;
}

function useKeys({ grid, search, manager, manage, retry, help }: Hands): void {
  useEffect(() => {
    const perform = (act: Act): void => {
      const { index, total, pages, query, choose, ask, refresh } = useList.getState();
      const row = rowAt(pages, index);
      switch (act.do) {
        case "move":
          grid.current?.focus({ preventScroll: true });
          return choose(moved(index, act.to, total ?? 0, Math.floor(((grid.current?.clientHeight ?? 0) - ROW) / ROW)));
        case "open":
          return row && open(index, row);
        case "open-aside":
          return row && open(index, row, true);
        case "refresh":
          return refresh();
        case "help":
          return help();
        case "search":
          return search.current?.select();
        case "flagged":
          return ask({ ...query, flagged: !query.flagged });
        case "unsigned":
          return ask({ ...query, states: query.states.length === UNSIGNED.length ? [] : UNSIGNED });
        case "manage":
          return row && manager ? manage(row) : undefined;
        case "retry":
          return row?.state === "failed" ? retry(row) : undefined;
        case "clear":
          return query.q ? ask({ ...query, q: "" }) : undefined;
        case "sort":
          return ask(sorted(query, act.by));
      }
    };
    const press = (event: KeyboardEvent): void => {
      const on = document.querySelector("dialog[open]") ? "dialog" : placeOf(event.target);
      const act = actOf({ key: event.key, ctrl: event.ctrlKey || event.metaKey || event.altKey, on });
      if (!act) return;
      event.preventDefault();
      perform(act);
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [grid, search, manager, manage, retry, help]);
}
