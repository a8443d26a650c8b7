import pytest
from datetime import timedelta
from tests.browser.test_door import *
from tests.browser.test_door import sign_in
from bookings.models import *
from tests.factories import *
from orders.moving import move_in_place

def test_look(browser, live_server, val, place_order, workshop, staff):
    workshop.calendar.place="The Old Bakehouse, Mill Lane"; workshop.calendar.save()
    workshop.price_name="Adult"; workshop.save()
    child=PriceKind.objects.create(entry=workshop,name="Child",price="10.00")
    q=Question.objects.create(calendar=workshop.calendar,text="Anything you cannot eat?")
    order=sell(place_order,(workshop,4)); o2=sell(place_order,(workshop,2)); o2.lines.update(price_kind=child)
    later=EntryFactory(title="Late bread workshop", calendar=workshop.calendar, starts_at=workshop.starts_at+timedelta(days=14))
    b=places_of(order)
    for n,(bk,name) in enumerate(zip(b+places_of(o2),["Zoë Attendee","Bartholomew Featherstonehaugh-Cholmondeley","Ann","","Tim","Tom"]),1):
        a=Attendee.objects.create(order_line=bk.order_line,number=n,booking=bk,name=name)
        if n in (1,5): Answer.objects.create(attendee=a,question=q,text="Nuts, and anything with sesame")
    new,=move_in_place([b[3]],later,by=None,cause="x")
    begin(workshop,hours_ago=1)
    for w in (360,390,1280):
        ctx=browser.new_context(base_url=live_server.url,viewport={"width":w,"height":780})
        sign_in(ctx,val); p=ctx.new_page()
        anon=browser.new_context(base_url=live_server.url,viewport={"width":w,"height":780}); ap=anon.new_page()
        def shot(pg,name): pg.wait_for_timeout(400); pg.screenshot(path=f"/tmp/eshots/{name}-{w}.png",full_page=True); print(name,w,pg.evaluate("document.documentElement.scrollWidth"))
        from urllib.parse import urlsplit
        u=urlsplit(order.tickets_link); ap.goto(u.path+"?"+u.query); shot(ap,"tickets")
        ap.goto(f"/orders/{order.number}/"); shot(ap,"order")
        ap.goto(f"/tickets/{b[3].uuid}/"); shot(ap,"moved")
        ap.goto(f"/tickets/{new.uuid}/"); shot(ap,"ticket")
        if w==1280: ap.goto(f"/orders/{order.number}/tickets/"); ap.pdf(path="/tmp/eshots/t.pdf")
        if w==390: continue
        p.goto("/door/"); shot(p,"doors")
        p.goto(door_of(workshop)); shot(p,"door")
        type_code(p,b[0].code if w==360 else b[1].code); p.wait_for_timeout(1500); p.screenshot(path=f"/tmp/eshots/welcome-{w}.png")
        type_code(p,b[0].code); p.wait_for_timeout(1500); p.screenshot(path=f"/tmp/eshots/already-{w}.png")
        type_code(p,new.code); p.wait_for_timeout(1500); p.screenshot(path=f"/tmp/eshots/other-{w}.png")
        type_code(p,b[3].code); p.wait_for_timeout(1500); p.screenshot(path=f"/tmp/eshots/gone-{w}.png")
        type_code(p,"HELLO1"); p.wait_for_timeout(1500); p.screenshot(path=f"/tmp/eshots/unknown-{w}.png")
        p.context.set_offline(True); type_code(p,b[2].code); p.wait_for_timeout(800); p.screenshot(path=f"/tmp/eshots/offline-{w}.png")
        p.context.set_offline(False); p.wait_for_timeout(2500); shot(p,"end")
        if w==360:
            from bookings.models import Booking
        ctx.close()
    ctx=browser.new_context(base_url=live_server.url,viewport={"width":1280,"height":900}); sign_in(ctx,staff); p=ctx.new_page()
    p.goto("/admin/bookings/booking/"); p.wait_for_timeout(800); p.screenshot(path="/tmp/eshots/admin.png")
    p.goto("/admin/bookings/scan/"); p.wait_for_timeout(800); p.screenshot(path="/tmp/eshots/admin2.png")
    ctx.close()
