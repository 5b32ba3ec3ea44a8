import { memo, type ReactElement } from "react";
import type { StudyRow } from "../api/client";
import { ageSex, clock, day, kept, moment, personName, stateWords, twoDigits } from "./format";

const TONE: Record<string, string> = { failed: "bad", running: "accent", draft: "warn", signed: "good" };

interface Props {
  row: StudyRow | undefined;
  index: number;
  top: number;
  chosen: boolean;
  manager: boolean;
  open: (index: number, row: StudyRow, aside: boolean) => void;
  retry: (row: StudyRow) => void;
  manage: (row: StudyRow) => void;
}

/** A line of the worklist; one that is not fetched yet keeps its place. */
export const Row = memo(function Row({ row, index, top, chosen, manager, open, retry, manage }: Props): ReactElement {
  const place = { transform: `translateY(${top}px)` };
  if (!row) return <div role="row" aria-rowindex={index + 2} aria-busy="true" className="wl-row dim" style={place}><span role="gridcell">…</span></div>;
  const words = stateWords(row);
  return (
    <div
      id={`row-${index}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={chosen}
      data-testid="row"
      data-study-id={row.id}
      className={chosen ? "wl-row chosen" : "wl-row"}
      style={place}
      onClick={(event) => open(index, row, event.ctrlKey || event.metaKey)}
      onAuxClick={(event) => event.button === 1 && open(index, row, true)}
    >
      <span role="gridcell" className={TONE[row.state]} title={row.stage || words}>{words}</span>
      <Suspicion value={row.suspicion} />
      <span role="gridcell" className="strong" title={personName(row.patient_name)}>{personName(row.patient_name)}</span>
      <span role="gridcell" title={row.patient_id}>{row.patient_id}</span>
      <span role="gridcell">{ageSex(row.birth_date, row.study_at, row.sex)}</span>
      <What row={row} />
      <span role="gridcell">{day(row.study_at)}</span>
      <span role="gridcell" className="number">{row.images}</span>
      <span role="gridcell" className="number ai">{row.findings ?? ""}</span>
      <span role="gridcell" className="number">{kept(row)}</span>
      <span role="gridcell" className="dim">{row.source}</span>
      <span role="gridcell" title={clock(row.received_at)}>{moment(row.received_at)}</span>
      <span role="gridcell" title={clock(row.changed_at)}>{moment(row.changed_at)}</span>
      <span role="gridcell" className="number">{row.priority ? (row.priority > 0 ? `+${row.priority}` : row.priority) : ""}</span>
      <span role="gridcell">{row.restricted && <Lock />}</span>
      <span role="gridcell" className="wl-acts" onClick={(event) => event.stopPropagation()}>
        {row.state === "failed" && (
          <button
            className="small"
            tabIndex={-1}
            data-testid="retry"
            onClick={() => retry(row)}
            aria-label={`Retry the analysis of ${personName(row.patient_name)}`}
          >
            Retry
          </button>
        )}
        {manager && (
          <button
            className="small plain"
            tabIndex={-1}
            data-testid="manage"
            onClick={() => manage(row)}
            aria-label={`Manage the study of ${personName(row.patient_name)}`}
          >
            ⋯
          </button>
        )}
      </span>
    </div>
  );
});

/** What was scanned; of a failed study first why it failed. */
function What({ row }: { row: StudyRow }): ReactElement {
  const why = row.state === "failed" ? row.problem : "";
  return (
    <span role="gridcell" title={[why, row.description].filter(Boolean).join("\n")}>
      {why && <span className="bad">{why} · </span>}{row.description}
    </span>
  );
}

function Suspicion({ value }: { value: number | null }): ReactElement {
  if (value === null) return <span role="gridcell" />;
  const share = Math.max(0, Math.min(1, value));
  return (
    <span role="gridcell" className="wl-suspicion" aria-label={`suspicion ${twoDigits(value)} of 100`}>
      <span className="track" aria-hidden="true"><span style={{ width: `${share * 100}%` }} /></span>
      {twoDigits(value)}
    </span>
  );
}

function Lock(): ReactElement {
  return (
    <svg width="11" height="12" viewBox="0 0 11 12" role="img" aria-label="restricted"><title>restricted</title>
      <path d="M3 5V3.5a2.5 2.5 0 0 1 5 0V5" fill="none" stroke="currentColor" strokeWidth="1.3" /><rect x="1.5" y="5" width="8" height="6" rx="1" fill="currentColor" />
    </svg>
  );
}
