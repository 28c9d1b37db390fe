/** What is said in place of data: that there are none yet, or why they did not come. */
import type { ComponentChildren } from "preact";
import { t } from "../language";

export function Failed({ error, again }: { error: Error | undefined; again?: () => void }) {
  if (!error) return null;
  return (
    <div class="note bad row spread" role="alert">
      <span>{error.message}</span>
      {again && (
        <button type="button" onClick={again}>
          {t("again")}
        </button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

export function Waiting() {
  return (
    <p class="quiet small" role="status">
      {t("loading")}
    </p>
  );
}
