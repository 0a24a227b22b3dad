"""Add AWS: the wizard that connects an AWS account, in Azure's five steps. What is typed is kept as a draft by the server."""

from isthmus.portal.pages.add import basics, review, solutions, tags, template
from isthmus.portal.pages.add.basics import DraftLine, drafts_of

PAGES = (*basics.PAGES, *solutions.PAGES, *template.PAGES, *tags.PAGES, *review.PAGES)

__all__ = ["PAGES", "DraftLine", "drafts_of"]
