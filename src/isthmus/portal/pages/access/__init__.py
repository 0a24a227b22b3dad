"""Access of people: who may take which role, who holds one, and its end. An address per question; each has a module here."""

from isthmus.portal.page import Page
from isthmus.portal.pages.access import (
    ask,
    grants,
    held,
    mapping,
    mapping_form,
    mine,
    overview,
    person,
    request,
    requests,
    review,
    revocation,
    timeline,
    who,
)

_NAV = "access"
PAGES = (
    Page(path="/portal/access", template="access.html", view=overview.view, nav=_NAV),
    Page(path="/portal/access/mine", template="access_mine.html", view=mine.view, nav="mine"),
    Page(path="/portal/access/requests", template="access_requests.html", view=requests.view, nav=_NAV),
    Page(path="/portal/access/requests/{request}", template="access_request.html", view=request.view, act=request.act, nav=_NAV),
    Page(path="/portal/access/ask", template="access_ask.html", view=ask.view, act=ask.act, nav=_NAV),
    Page(path="/portal/access/sessions", template="access_sessions.html", view=held.sessions_view, nav=_NAV),
    Page(path="/portal/access/grants", template="access_grants.html", view=held.grants_view, nav=_NAV),
    Page(path="/portal/access/who", template="access_who.html", view=who.view, nav=_NAV),
    Page(path="/portal/access/review", template="access_review.html", view=review.view, nav=_NAV),
    Page(path="/portal/access/timeline", template="access_timeline.html", view=timeline.view, act=timeline.check, nav=_NAV),
    Page(path="/portal/access/timeline/events/{event}", template="access_event.html", view=timeline.event_view, nav=_NAV),
    Page(path="/portal/access/people/{person}", template="access_person.html", view=person.view, act=person.readmit, nav=_NAV),
    Page(
        path="/portal/access/people/{person}/offboard",
        template="access_offboard.html",
        view=person.offboard_view,
        act=person.offboard,
        nav=_NAV,
    ),
    Page(
        path="/portal/access/revocations/{revocation}",
        template="access_revocation.html",
        view=revocation.view,
        live=revocation.live,
        nav=_NAV,
    ),
    Page(path="/portal/access/grants/{grant}/end", template="access_grant_end.html", view=grants.view, act=grants.act, nav=_NAV),
    Page(path="/portal/access/new", template="access_mapping_form.html", view=mapping_form.new_view, act=mapping_form.create, nav=_NAV),
    Page(path="/portal/access/mapping/{id:path}", template="access_mapping.html", view=mapping.view, nav=_NAV),
    Page(
        path="/portal/access/edit/{id:path}",
        template="access_mapping_form.html",
        view=mapping_form.edit_view,
        act=mapping_form.edit,
        nav=_NAV,
    ),
    Page(
        path="/portal/access/remove/{id:path}",
        template="access_mapping_remove.html",
        view=mapping.remove_view,
        act=mapping.remove,
        nav=_NAV,
    ),
)
