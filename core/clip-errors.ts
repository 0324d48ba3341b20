/** The error codes of audio clips; a part of the table in errors.ts. */
export const clipErrors = {
  'EB-AUDIO': {
    family: 'refused',
    means: 'A file holds no audio of a known form, or it is damaged.',
    todo: 'give mp3, wav, ogg or flac of 8, 16, 22.05, 44.1 or 48 kHz',
  },
  'EB-AUDIO-CLAIM': {
    family: 'refused',
    means: 'What is said of a clip is not what the clip is.',
    todo: 'correct the description, or leave it out',
  },
  'EB-CLIP-SIZE': {
    family: 'refused',
    means: 'A clip is empty, or larger than its limit or the cache.',
    todo: 'give a shorter clip, or more room to the cache',
  },
  'EB-CLIP-NAME': {
    family: 'refused',
    means: 'A clip, a skill or a language has no name that can be used.',
    todo: 'use letters, digits, dot, dash and underscore, 1 to 64 of them',
  },
  'EB-CLIP-MISSING': {
    family: 'refused',
    means: 'There is no such clip on the device, and no skill lists it.',
    todo: 'see everboot clips list',
  },
  'EB-CLIP-DAMAGED': {
    family: 'storage',
    means: 'A stored clip is not what was stored, and cannot be fetched again.',
    todo: 'store it again; check the storage medium',
  },
  'EB-CLIP-FULL': {
    family: 'storage',
    means: 'There is no room for a clip: what is left is pinned or held for updates.',
    todo: 'unpin or remove clips, or give more room to the cache',
  },
  'EB-CLIP-KEY': {
    family: 'storage',
    means: 'The key of the clip cache is lost or is that of another device: the cache starts empty.',
    todo: 'nothing: what skills list is fetched again',
  },
  'EB-CLIP-INDEX': {
    family: 'storage',
    means: 'The index of the clip cache is damaged: what it does not show any more is forgotten.',
    todo: 'nothing: what skills list is fetched again; check the storage medium',
  },
  'EB-CLIP-LOCKED': {
    family: 'environment',
    means: 'Another program uses the clip cache.',
    todo: 'ask it over its socket, or stop it',
  },
  'EB-CLIP-PRIVATE': {
    family: 'refused',
    means: 'A private clip stays on its device and belongs to no skill list.',
    todo: 'store it without --private to share it',
  },
  'EB-BUCKET': {
    family: 'storage',
    means: 'The bucket that holds the clips of the hub does not answer, or not as it should.',
    todo: 'check --clips, --s3-endpoint, the credentials and the network of the hub',
  },
  'EB-SKILL': {
    family: 'refused',
    means: 'A directory of a skill cannot be published.',
    todo: 'see docs/guides/audio-clips.md',
  },
} as const
