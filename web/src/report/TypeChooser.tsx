import { useEffect, useRef, useState, type KeyboardEvent, type ReactElement } from "react";
import { matching } from "./choose";

interface Props {
  title: string;
  choices: readonly [string, string][];
  present: string | null;
  choose: (value: string) => void;
  close: () => void;
}

/** A type by a few letters and Enter: the reader is asked, nothing is assumed. */
export function TypeChooser({ title, choices, present, choose, close }: Props): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(Math.max(0, choices.findIndex(([value]) => value === present)));
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    field.current?.focus();
    return () => shown?.close(); // the focus goes back to where it was
  }, []);
  const found = matching(choices, typed);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => {
    list.current?.children[chosen]?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const take = (value: string | undefined): void => {
    if (value === undefined) return;
    close();
    choose(value);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, found.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
    else if (event.key === "Enter") take(found[chosen]?.[0]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog ref={dialog} className="chooser" aria-label={title} data-testid="type-chooser" onCancel={close}>
      <h2>{title}</h2>
      <input
        ref={field}
        role="combobox"
        aria-label="type"
        aria-expanded="true"
        aria-controls="types"
        aria-activedescendant={found[chosen] ? `type-option-${found[chosen][0]}` : undefined}
        placeholder="a few letters, ↑ ↓, Enter"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <ul id="types" ref={list} role="listbox" aria-label="types">
        {found.map(([value, words], n) => (
          <li key={value} id={`type-option-${value}`} role="option" aria-selected={n === chosen} onClick={() => take(value)}>
            {words}
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="dim">No type has these letters.</p>}
      <div className="actions">
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </dialog>
  );
}
