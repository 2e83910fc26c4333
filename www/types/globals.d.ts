/** Safari's MediaSource for iPhones; not in TypeScript's DOM library yet. */
declare var ManagedMediaSource: typeof MediaSource | undefined;
