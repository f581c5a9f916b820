import ArgumentParser

@main
struct SiltstoneBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "siltstone-bench",
    abstract: "The same workloads through Siltstone and its peers, side by side, and held against the disk.",
    subcommands: [
      CompareCommand.self, ReportCommand.self, Disk.self, ProfileRun.self, FlameGraphCommand.self, RunOne.self,
      RecoverWriter.self, FillProcess.self, ProcessesCommand.self, ProcessPeer.self,
    ], defaultSubcommand: CompareCommand.self)
}
