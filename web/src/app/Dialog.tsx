import { useEffect, useRef, type ReactElement, type ReactNode } from "react";

/** A modal with a title; Escape and Close end it. */
export function Dialog({ title, close, children, actions }: { title: string; close: () => void; children: ReactNode; actions?: ReactNode }): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={dialog} aria-label={title} onCancel={close} className="sheet">
      <h2>{title}</h2>
      {children}
      <div className="actions">
        {actions}
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </dialog>
  );
}

/** A problem in words and a way to try again. */
export function Problem({ words, retry }: { words: string; retry?: () => void }): ReactElement | null {
  if (!words) return null;
  return (
    <p className="notice bad" role="alert">
      {words} {retry && <button onClick={retry}>Try again</button>}
    </p>
  );
}
