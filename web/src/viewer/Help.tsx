import { useEffect, useRef, type ReactElement } from "react";
import { HELP } from "./keys";

/** All keys on one sheet. */
export function Help({ close }: { close: () => void }): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={dialog} className="help" onCancel={close} aria-label="Keys">
      <div className="columns">
        {Object.entries(HELP).map(([title, keys]) => (
          <section key={title}>
            <h2>{title}</h2>
            <table>
              <tbody>
                {keys.map((one) => (
                  <tr key={one.keys}>
                    <td>
                      <kbd>{one.keys}</kbd>
                    </td>
                    <td>{one.words}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        ))}
      </div>
      <div className="actions">
        <button onClick={close}>Close</button>
      </div>
    </dialog>
  );
}
