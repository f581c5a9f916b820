/// What an acknowledged write survives.
public enum Durability: Sendable, Hashable {
  /// The death of every process, at any instruction, but not of the machine: the write stands in a shared mapping that
  /// belongs to the kernel. It costs no system call. The log is also synced every second in the background, so that a
  /// power cut takes the last two seconds at most while the disk keeps up.
  case staged
  /// Loss of power: the write, and everything before it, is on stable media. Concurrent writers share one device
  /// write.
  case synced
}
