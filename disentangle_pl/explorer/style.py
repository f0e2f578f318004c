"""How the page looks."""

BLUE = "#174ea6"  # has a contrast of 7 to the page
STYLE = """
body { background: #fafafa; color: #1b1b1b; }
.nicegui-content { padding: 0; display: block; }
.page { max-width: 1280px; margin: 0 auto; padding: 12px 16px 32px; box-sizing: border-box; width: 100%; }
.page h1 { font-size: 1.25rem; line-height: 1.5; font-weight: 600; margin: 0 0 4px; overflow-wrap: anywhere; }
.page h2 { font-size: 1rem; line-height: 1.4; font-weight: 600; margin: 16px 0 4px; }
.note { color: #4a4a4a; font-size: .82rem; margin: 0 0 4px; }
.columns { display: grid; grid-template-columns: minmax(0, 1fr); gap: 8px 28px; }
.row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
.row > .q-field { min-width: 6.5rem; flex: 1 1 6.5rem; }
.seen { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; margin: 8px 0 0; }
.seen figure { margin: 0; min-width: 0; }
.seen figcaption { font-size: .78rem; color: #4a4a4a; }
.seen img { width: 100%; display: block; image-rendering: pixelated; background: #e6e6e6; border: 1px solid #c9c9c9;
  box-sizing: border-box; }
.deep { max-width: 31rem; }
.deep .note { margin: 2px 0 0; }
.deep .q-slider { min-height: 24px; }
.scale { height: 12px; border: 1px solid #c9c9c9; margin-top: 8px; }
.numbers { display: flex; justify-content: space-between; font-size: .78rem; font-variant-numeric: tabular-nums; }
.latent { display: grid; grid-template-columns: minmax(7.6rem, auto) minmax(0, 1fr) 2.4rem; gap: 12px;
  align-items: center; }
.latent .words { font-size: .82rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.latent .q-slider { min-height: 32px; }
table.said { border-collapse: collapse; width: 100%; font-size: .82rem; font-variant-numeric: tabular-nums; }
table.said th, table.said td { text-align: left; padding: 3px 8px 3px 0; border-bottom: 1px solid #e0e0e0;
  overflow-wrap: anywhere; vertical-align: top; }
:focus-visible { outline: 2px solid #174ea6; outline-offset: 2px; }
@media (min-width: 900px) {
  .columns { grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr); }
  .pictures { position: sticky; top: 8px; align-self: start; }
}
@media (max-width: 899px) {
  .columns { display: block; }
  .pictures { display: contents; }
  .held.flat { position: sticky; top: 0; z-index: 2; background: #fafafa; padding: 0 0 4px; }
}
"""
