/** A bar of one or more parts; what it shows is said in words beside it. */
import { useEffect, useRef } from "preact/hooks";

interface Part {
  /** Where it ends, from 0 to 1. */
  share: number;
  look?: string;
}

/** Parts lie on each other: give the longest first. */
export function Bar({ parts, look = "" }: { parts: readonly Part[]; look?: string }) {
  return (
    <div class={`bar ${look}`} aria-hidden="true">
      {parts.map((part, index) => (
        <Filled key={index} {...part} />
      ))}
    </div>
  );
}

function Filled({ share, look }: Part) {
  const self = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    // Set from the script, as the page allows no style in its markup.
    if (self.current) self.current.style.width = `${Math.min(1, Math.max(0, share)) * 100}%`;
  }, [share]);
  return <span ref={self} class={look} />;
}
