"""An analysed video as other programs read it: tables, captions, annotations, JSON."""
