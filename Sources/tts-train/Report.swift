import ArgumentParser
import Filters
import TrainingTools

/// `tts-train report`: what runs came to, on a page.
struct Report: Tool {
  static let tool = ToolDescription(
    name: "tts-train report", abstract: "Put the losses and the samples of runs on one HTML page.",
    examples: [
      "tts-train report runs/mine > mine.html",
      "tts-train report -o all.html runs/head runs/lora runs/full",
    ],
    discussion: """
      The page stands alone: curves of the losses, the rate and the gradients' norm over the steps, \
      each run in a colour of its own, and under them a table with the last and the best validation \
      and the options. Samples of --sample-every are on it to listen to, step by step, the \
      runs side by side. The runs may be those of any tool that trains. Runs that still go on are drawn as far as they are.
      """)

  @OptionGroup var page: ReportOptions
  @OptionGroup var common: CommonOptions

  func execute(_ run: ToolRun) throws { try page.writePage() }
}
