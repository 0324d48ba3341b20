/** The error codes of consoles and of machines that Everboot runs; a part of the table in errors.ts. */
export const machineErrors = {
  'EB-CONSOLE-GONE': {
    family: 'environment',
    means: 'The serial device or socket of a console is not there, or went away.',
    todo: 'connect the device or start the machine, then open the console again',
  },
  'EB-CONSOLE-BUSY': {
    family: 'environment',
    means: 'Another program has the serial device.',
    todo: 'end that program; fuser -v DEVICE names it',
  },
  'EB-CONSOLE-DENIED': {
    family: 'environment',
    means: 'The serial device or socket must not be opened by this user.',
    todo: 'add the user to the group of the device (usermod -aG dialout USER), then log in again',
  },
  'EB-CONSOLE-RESET': {
    family: 'environment',
    means: 'The console has no such control line.',
    todo: 'reset the device by another way',
  },
  'EB-NOT-SEEN': {
    family: 'updateFailed',
    means: 'What a script expects did not appear on the console in time.',
    todo: 'look at the last lines, or give a longer --timeout',
  },
  'EB-SOCKET-IN-USE': {
    family: 'environment',
    means: 'Another program listens on the Unix socket.',
    todo: 'stop that program or choose another directory',
  },
  'EB-QEMU': {
    family: 'environment',
    means: 'QEMU does not start, or ended on its own.',
    todo: 'look at its message; it names the option or file',
  },
  'EB-QEMU-VERSION': {
    family: 'environment',
    means: 'QEMU is older than the versions that the QEMU board runs on.',
    todo: 'install the named version or a newer one',
  },
  'EB-AUTOBOOT': {
    family: 'storage',
    means:
      'The file by which the firmware of a Raspberry Pi chooses a slot, autoboot.txt, cannot be read or written.',
    todo: 'look at the first partition (fsck.fat); if the file is gone, flash the disk again',
  },
  'EB-EEPROM': {
    family: 'environment',
    means: 'The bootloader of this Raspberry Pi is too old for A/B by tryboot.',
    todo: 'update the EEPROM: rpi-eeprom-update -a, then reboot',
  },
  'EB-INHIBITED': {
    family: 'refused',
    means: 'Somebody on the device says that now is no time for an update.',
    todo: 'wait, or have it released: everboot device release WHO',
  },
  'EB-STATE': {
    family: 'storage',
    means: 'The state that is kept across updates cannot be put in its place.',
    todo: 'check the data partition and /etc/everboot/state.json; everboot-agent state mount shows it again',
  },
} as const
