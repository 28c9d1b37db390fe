/** The few controls that more than one view uses. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../language";

interface Choice<T extends string> {
  value: T;
  label: string;
}

/** A row of buttons of which one is pressed. */
export function Segmented<T extends string>(given: {
  label: string;
  value: T;
  choices: readonly Choice<T>[];
  choose: (value: T) => void;
}) {
  return (
    <div class="segmented" role="group" aria-label={given.label}>
      {given.choices.map(({ value, label }) => (
        <button
          type="button"
          key={value}
          aria-pressed={value === given.value}
          onClick={() => given.choose(value)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

export function Select(given: {
  label: string;
  value: string;
  choices: readonly Choice<string>[];
  choose: (value: string) => void;
}) {
  return (
    <label class="field">
      {given.label}
      <select value={given.value} onChange={(event) => given.choose(event.currentTarget.value)}>
        {given.choices.map(({ value, label }) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A modal dialog; Escape and the backdrop's cancel close it, and focus goes back where it was. */
export function Dialog(given: { title: string; close: () => void; children: ComponentChildren }) {
  const self = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    self.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={self} aria-labelledby="dialog-title" onClose={given.close}>
      <div class="body">
        <h2 id="dialog-title">{given.title}</h2>
        {given.children}
      </div>
    </dialog>
  );
}

/** Asks before something that cannot be taken back. */
export function Confirm(given: {
  title: string;
  action: string;
  grave?: boolean;
  busy?: boolean;
  close: () => void;
  confirm: () => void;
  children: ComponentChildren;
}) {
  return (
    <Dialog title={given.title} close={given.close}>
      {given.children}
      <div class="row">
        <button type="button" onClick={given.close}>
          {t("cancel")}
        </button>
        <button
          type="button"
          class={given.grave ? "grave" : "main"}
          disabled={given.busy}
          onClick={given.confirm}
        >
          {given.action}
        </button>
      </div>
    </Dialog>
  );
}
