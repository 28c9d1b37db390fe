/** How something is to be compressed. */
import { useId } from "preact/hooks";
import { percent } from "../format";
import { t } from "../language";
import type { Setting } from "../share";
import { Segmented, Select } from "./controls";

export function Settings(given: {
  name: string;
  setting: Setting;
  compressors: readonly string[];
  change: (setting: Setting) => void;
}) {
  const { setting, change } = given;
  const id = useId();
  const known = given.compressors.includes(setting.compressor)
    ? given.compressors
    : [...given.compressors, setting.compressor];
  return (
    <fieldset>
      <legend>{given.name}</legend>
      <div class="fields">
        <Select
          label={t("compressor")}
          value={setting.compressor}
          choices={known.map((value) => ({ value, label: value }))}
          choose={(compressor) => change({ ...setting, compressor })}
        />
        <div class="field">
          <label for={id}>{setting.by === "rate" ? t("rate", { rate: percent(setting.rate) }) : t("tokens.target")}</label>
          {setting.by === "rate" ? (
            <input
              id={id}
              type="range"
              min={0.05}
              max={1}
              step={0.05}
              value={setting.rate}
              onInput={(event) => change({ ...setting, rate: Number(event.currentTarget.value) })}
            />
          ) : (
            <input
              id={id}
              type="number"
              min={1}
              value={setting.tokens}
              onInput={(event) => change({ ...setting, tokens: Math.max(1, event.currentTarget.valueAsNumber || 1) })}
            />
          )}
        </div>
        <div class="field">
          <span>{t("target")}</span>
          <Segmented
            label={t("target")}
            value={setting.by}
            choices={[
              { value: "rate", label: t("target.rate") },
              { value: "tokens", label: t("target.tokens") },
            ]}
            choose={(by) => change({ ...setting, by })}
          />
        </div>
      </div>
      <label class="field">
        {t("question")}
        <input
          value={setting.question}
          placeholder={t("question.placeholder")}
          onInput={(event) => change({ ...setting, question: event.currentTarget.value })}
        />
      </label>
    </fieldset>
  );
}
